"""Carries committed outbox rows to the broker: confirmed, in order per aggregate, never lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg

from shared import logs, metrics
from shared.failpoints import failpoint
from shared.queue import broker, retention, topology

BATCH: Final = 200
LEASE_SECONDS: Final = 30
SCAN_SECONDS: Final = 1.0  # the fallback when a NOTIFY is missed
PURGE_EVERY_SECONDS: Final = 3600.0
_MEASURE_EVERY_SECONDS: Final = 5.0
_STEADY_SECONDS: Final = 10.0

log = logs.logger(__name__)

# Only the oldest unpublished event of an aggregate can be claimed, so order holds with any number of relays.
CLAIM_SQL: Final = """
WITH candidate AS (
    SELECT o.id FROM outbox o
    WHERE o.published_at IS NULL AND (o.leased_until IS NULL OR o.leased_until < clock_timestamp())
      AND NOT EXISTS (
        SELECT 1 FROM outbox earlier
        WHERE earlier.published_at IS NULL AND earlier.aggregate_type = o.aggregate_type
          AND earlier.aggregate_id = o.aggregate_id AND earlier.aggregate_sequence < o.aggregate_sequence)
    ORDER BY o.id LIMIT $2 FOR UPDATE OF o SKIP LOCKED)
UPDATE outbox SET lease_token = $1, attempts = attempts + 1,
    leased_until = clock_timestamp() + make_interval(secs => $3)
FROM candidate WHERE outbox.id = candidate.id
RETURNING outbox.id, event_id, exchange, event_type, envelope::text AS envelope, attempts
"""
MARK_SQL: Final = """
UPDATE outbox SET published_at = clock_timestamp(), lease_token = NULL, leased_until = NULL, last_error = NULL
WHERE id = ANY($1::bigint[]) AND lease_token = $2 AND published_at IS NULL
"""
RETURN_SQL: Final = """
UPDATE outbox SET lease_token = NULL, last_error = $3,
    leased_until = clock_timestamp() + make_interval(secs => $4)
WHERE id = ANY($1::bigint[]) AND lease_token = $2 AND published_at IS NULL
"""
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
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop`` is set; trouble with the broker or the database is logged and waited out."""
        beside = [asyncio.create_task(work(stop)) for work in (self._measure, self._purge)]
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
        database = await asyncpg.connect(self.database_url, timeout=5, command_timeout=10)
        try:
            await database.add_listener("outbox", lambda *_: self._wake.set())
            async with broker.connected(self.amqp_url, f"{self.service}-relay") as connection:
                presence = broker.Presence(connection, self.exchanges)
                await self._until_bound(presence, stop)
                publisher = await broker.Publisher.open(connection)
                await self._pump(database, publisher, presence, stop)
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
        publisher: broker.Publisher,
        presence: broker.Presence,
        stop: asyncio.Event,
    ) -> None:
        while not stop.is_set():
            self._wake.clear()
            if not await self._publish_batch(database, publisher, presence):
                await _wait_any(stop, self._wake, SCAN_SECONDS)

    async def _publish_batch(
        self, database: asyncpg.Connection[Any], publisher: broker.Publisher, presence: broker.Presence
    ) -> int:
        token: UUID = uuid4()
        rows = await database.fetch(CLAIM_SQL, token, self.batch, self.lease_seconds)
        if not rows:
            return 0
        failpoint("relay.after_claim_before_publish")
        if missing := await presence.missing():  # deleted since we connected: the rows wait
            words = f"missing queues: {', '.join(missing)}"
            await database.execute(RETURN_SQL, [row["id"] for row in rows], token, words, 0)
            raise broker.NotDelivered(words)
        results = await asyncio.gather(
            *(
                publisher.publish(
                    row["exchange"],
                    row["event_type"],
                    row["envelope"].encode(),
                    message_id=str(row["event_id"]),
                    mandatory=topology.is_awaited(row["exchange"], row["event_type"]),
                )
                for row in rows
            ),
            return_exceptions=True,
        )
        failpoint("relay.after_publish_before_mark")
        sent = [row["id"] for row, result in zip(rows, results, strict=True) if result is None]
        await database.execute(MARK_SQL, sent, token)
        for row, result in zip(rows, results, strict=True):
            if result is None:
                metrics.EVENTS_PUBLISHED.labels(row["event_type"]).inc()
        failed = [
            (row, result)
            for row, result in zip(rows, results, strict=True)
            if isinstance(result, BaseException)
        ]
        if failed:
            row, error = failed[0]
            delay = min(0.5 * 2 ** min(row["attempts"], 6), 30.0)
            await database.execute(
                RETURN_SQL, [row["id"] for row, _ in failed], token, str(error)[:500], delay
            )
            raise error  # a fresh connection, after the passive declarations, is the way to go on
        return len(rows)

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
                    await retention.purge(database)
                finally:
                    await database.close(timeout=2)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("old-rows-not-removed", error=type(error).__name__)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


async def _wait_any(stop: asyncio.Event, wake: asyncio.Event, seconds: float) -> None:
    tasks = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(wake.wait())]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def run_relay(
    database_url: str, amqp_url: str, service: str, exchanges: list[str], stop: asyncio.Event
) -> None:
    """Runs one relay until ``stop``; ``exchanges`` are those the service owns (``topology.EXCHANGES``)."""
    await Relay(database_url, amqp_url, service, exchanges).run(stop)
