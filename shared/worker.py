"""Runs a worker process: its loops side by side, restarted when they fail, stopped gracefully."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from shared import logs
from shared.health import Health
from shared.health_server import serve

Loop = Callable[[asyncio.Event], Awaitable[None]]

log = logs.logger(__name__)
STOP_SECONDS = 35.0  # a handler may take 30


async def _keep(name: str, loop: Loop, stop: asyncio.Event) -> None:
    delay = 0.5
    while not stop.is_set():
        try:
            await loop(stop)
            return
        except Exception as error:
            log.error("loop-failed", loop=name, exc_info=error)
        try:
            async with asyncio.timeout(delay):
                await stop.wait()
        except TimeoutError:
            delay = min(delay * 2, 10.0)


async def run_worker(loops: Mapping[str, Loop], health: Health, health_port: int) -> None:
    """Runs every loop until SIGTERM or SIGINT; each gets an event that says when to stop.

    A loop that raises is logged and started again with a growing delay; one that returns is done.
    """
    stop = asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, stop.set)

    def report() -> tuple[bool, dict[str, Any]]:
        return asyncio.run_coroutine_threadsafe(health.report(), running).result(timeout=10)

    server = serve(health_port, report)
    tasks = [asyncio.create_task(_keep(name, loop, stop), name=name) for name, loop in loops.items()]
    log.info("worker-started", loops=list(loops))
    try:
        await stop.wait()
        done, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for task in late:
            log.error("loop-cut-off", loop=task.get_name())
            task.cancel()
        await asyncio.gather(*done, *late, return_exceptions=True)
    finally:
        server.shutdown()
        log.info("worker-stopped")
