"""Wakes whoever waits for a payment to change, in this process: one LISTEN connection for all of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import asyncpg

from shared import logs

CHANNEL: Final = "payment_changed"
ANY: Final = "*"
_RETRY_SECONDS: Final = 1.0
_PROBE_SECONDS: Final = 10.0

log = logs.logger(__name__)


class Watch:
    """While the connection is down everybody is woken every second: late, never deaf."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._events: dict[str, set[asyncio.Event]] = defaultdict(set)
        self.is_closing = False

    @contextmanager
    def changes_of(self, payment_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at every change of the payment (``ANY``: of any payment)."""
        event = asyncio.Event()
        self._events[payment_id].add(event)
        try:
            yield event
        finally:
            self._events[payment_id].discard(event)
            if not self._events[payment_id]:
                del self._events[payment_id]

    def close(self) -> None:
        """Wakes everybody for the last time: who waits without an end gives up."""
        self.is_closing = True
        self._wake_all()

    async def run(self) -> None:
        """Listens until cancelled."""
        while True:
            try:
                await self._listen()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                log.warning("watch-interrupted", error=type(error).__name__)
            self._wake_all()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self) -> None:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(self._dsn, timeout=5, command_timeout=5)
        try:
            await connection.add_listener(CHANNEL, self._heard)
            self._wake_all()
            while True:
                await asyncio.sleep(_PROBE_SECONDS)
                await connection.execute("SELECT 1")
        finally:
            await connection.close(timeout=1)

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        for name in (str(payload), ANY):
            for event in self._events.get(name, ()):
                event.set()

    def _wake_all(self) -> None:
        for events in self._events.values():
            for event in events:
                event.set()


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """True when the event came within the time; it is cleared then."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    event.clear()
    return True
