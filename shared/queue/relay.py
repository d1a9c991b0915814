"""Carries committed outbox rows to the broker: confirmed, in order per aggregate, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from shared import logs, metrics
from shared.queue import broker, retention
from shared.queue.flight import Flight

BATCH: Final = 200
LEASE_SECONDS: Final = 30
SCAN_SECONDS: Final = 1.0  # the fallback when a NOTIFY is missed
PURGE_EVERY_SECONDS: Final = 3600.0
_MEASURE_EVERY_SECONDS: Final = 5.0
_STEADY_SECONDS: Final = 10.0

log = logs.logger(__name__)

PENDING_SQL: Final = """
SELECT count(*) AS pending,
    coalesce(extract(epoch FROM clock_timestamp() - min(written_at)), 0)::float8 AS age
FROM (SELECT written_at FROM outbox WHERE published_at IS NULL) waiting
"""


@dataclass(slots=True)
class Relay:
    """One relay of one database, with the credentials of the service that owns the outbox."""

    database_url: str
    amqp_url: str
    service: str
    exchanges: list[str]
    batch: int = BATCH
    lease_seconds: float = LEASE_SECONDS
    purge_every_seconds: float = PURGE_EVERY_SECONDS
    also_purge: tuple[retention.Rule, ...] = ()
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop`` is set; trouble with the broker or the database is logged and waited out."""
        beside = [asyncio.create_task(work(stop)) for work in (self._measure, self._purge, self._wake_at_end)]
        try:
            await self._relay(stop)
        finally:
            for task in beside:
                task.cancel()

    async def _relay(self, stop: asyncio.Event) -> None:
        delay, loop = 0.2, asyncio.get_running_loop()
        while not stop.is_set():
            began_at = loop.time()
            try:
                await self._session(stop)
            except (
                *broker.BROKER_ERRORS,
                broker.NotDelivered,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
            ) as e:
                log.warning("relay-interrupted", error=type(e).__name__, detail=str(e)[:200])
                delay = 0.2 if loop.time() - began_at > _STEADY_SECONDS else min(delay * 2, 5.0)
                await _wait(stop, delay)

    async def _session(self, stop: asyncio.Event) -> None:
        async with (
            self._database() as claiming,
            self._database() as settling,
            broker.connected(self.amqp_url, f"{self.service}-relay") as connection,
        ):
            await claiming.add_listener("outbox", lambda *_: self._wake.set())
            presence = broker.Presence(connection, self.exchanges)
            await self._until_bound(presence, stop)
            publisher = await broker.Publisher.open(connection)
            flight = Flight(publisher, presence, self._wake, self.batch)
            settled = asyncio.create_task(flight.settle(settling))
            settled.add_done_callback(lambda _: self._wake.set())
            try:
                await self._pump(claiming, flight, settled, stop)
            finally:
                flight.close()
                await settled

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        # A claim or mark that a crash of the server undoes just repeats an event: none waits for the disk.
        settings = {"synchronous_commit": "off"}
        database = await asyncpg.connect(
            self.database_url, timeout=5, command_timeout=10, server_settings=settings
        )
        try:
            yield database
        finally:
            await database.close(timeout=2)

    async def _until_bound(self, presence: broker.Presence, stop: asyncio.Event) -> None:
        # A stream bound to the exchange would hide a missing service queue from the mandatory flag.
        while not stop.is_set():
            missing = await presence.missing()
            if not missing:
                return
            log.error("relay-waits-for-queues", missing=missing)
            await _wait(stop, 2.0)

    async def _pump(
        self,
        database: asyncpg.Connection[Any],
        flight: Flight,
        settled: asyncio.Task[None],
        stop: asyncio.Event,
    ) -> None:
        while not stop.is_set() and not settled.done():
            self._wake.clear()
            if await flight.claim(database, self.lease_seconds) < self.batch:
                await _wait(self._wake, SCAN_SECONDS)

    async def _wake_at_end(self, stop: asyncio.Event) -> None:
        # so that the pump, which every event waits for, has one thing to wait for
        await stop.wait()
        self._wake.set()

    async def _measure(self, stop: asyncio.Event) -> None:
        """Keeps the outbox metrics true above all when the broker is away."""
        while not stop.is_set():
            try:
                database = await asyncpg.connect(self.database_url, timeout=5, command_timeout=10)
                try:
                    row = await database.fetchrow(PENDING_SQL)
                finally:
                    await database.close(timeout=2)
                metrics.OUTBOX_PENDING.set(row["pending"])
                metrics.OUTBOX_AGE_SECONDS.set(row["age"])
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("outbox-not-measured", error=type(error).__name__)
            await _wait(stop, _MEASURE_EVERY_SECONDS)

    async def _purge(self, stop: asyncio.Event) -> None:
        """Removes old rows from time to time, however busy the relay is and whatever the broker does."""
        while not stop.is_set():
            await _wait(stop, self.purge_every_seconds)
            try:
                database = await asyncpg.connect(self.database_url, timeout=5, command_timeout=60)
                try:
                    await retention.purge(database, also=self.also_purge)
                finally:
                    await database.close(timeout=2)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("old-rows-not-removed", error=type(error).__name__)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


async def run_relay(
    database_url: str,
    amqp_url: str,
    service: str,
    exchanges: list[str],
    stop: asyncio.Event,
    also_purge: tuple[retention.Rule, ...] = (),
) -> None:
    """Runs one relay until ``stop``; ``exchanges`` are those the service owns (``topology.EXCHANGES``).

    ``also_purge``: what else the service forgets with age, beside outbox, inbox and keys.
    """
    await Relay(database_url, amqp_url, service, exchanges, also_purge=also_purge).run(stop)
