"""A relay process as pay-worker runs one: ``python -m benchmarks.bus_relay DATABASE_URL AMQP_URL``."""

from __future__ import annotations

import asyncio
import signal
import sys

from shared.queue.relay import run_relay


async def main(database_url: str, amqp_url: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run_relay(database_url, amqp_url, "pay-api", ["payments"], stop)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
