"""The process admin-worker: carries the catalogue's events to the broker."""

from __future__ import annotations

import asyncio

import asyncpg

from admin_panel.settings import SERVICE, settings
from shared import logs, tracing
from shared.health import Health
from shared.queue import broker
from shared.queue.relay import run_relay
from shared.worker import run_worker


async def _relay(stop: asyncio.Event) -> None:
    own = settings()
    await run_relay(
        own.movies_database_url.get_secret_value(),
        own.amqp_url.get_secret_value(),
        SERVICE,
        ["catalog"],
        stop,
    )


async def _database_answers() -> None:
    connection = await asyncpg.connect(settings().movies_database_url.get_secret_value(), timeout=2)
    try:
        await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL")
    finally:
        await connection.close(timeout=1)


async def _broker_answers() -> None:
    async with broker.connected(settings().amqp_url.get_secret_value(), f"{SERVICE}-probe"):
        return


def main() -> None:
    """Runs until SIGTERM."""
    own = settings()
    logs.configure(own.service_name if own.service_name != SERVICE else "admin-worker", own.log_level)
    own.refuse_unsafe()
    tracing.start("admin-worker")
    health = Health(required={"movies": _database_answers}, others={"rabbitmq": _broker_answers})
    asyncio.run(run_worker({"relay": _relay}, health, own.health_port))


if __name__ == "__main__":
    main()
