"""Carries claimed outbox rows to the broker, many at once, and writes down what became of each."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg

from shared import metrics
from shared.failpoints import failpoint
from shared.queue import broker, topology

WINDOW: Final = 1000  # confirms awaited at once
# What was confirmed is written down so often at most: each time everything bound is asked for.
SETTLE_SECONDS: Final = 0.02
_LOOKS: Final = 2  # within the time a confirm may take

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


class Flight:
    """The rows one connected relay has under way, under one lease token.

    A row is marked as published when the broker has confirmed it and everything that must be bound was seen
    after that: a queue deleted meanwhile costs a repetition, not an event.
    """

    def __init__(
        self, publisher: broker.Publisher, presence: broker.Presence, wake: asyncio.Event, batch: int
    ) -> None:
        self._publisher, self._presence = publisher, presence
        self._wake = wake  # set when there is room again, or a next event of an aggregate to claim
        self._batch = batch
        self._token: UUID = uuid4()
        self._flying: dict[int, tuple[Any, asyncio.Task[None]]] = {}
        self._confirmed: list[Any] = []
        self._failed: list[tuple[Any, BaseException]] = []
        self._landed = asyncio.Event()
        self._closing = False

    async def claim(self, database: asyncpg.Connection[Any], lease_seconds: float) -> int:
        """Claims rows and sends them off without waiting; gives how many."""
        room = min(self._batch, WINDOW - len(self._flying) - len(self._confirmed))
        if room <= 0 or self._failed or self._closing:
            return 0
        rows = await database.fetch(CLAIM_SQL, self._token, room, lease_seconds)
        if rows:
            failpoint("relay.after_claim_before_publish")
        for row in rows:
            self._flying[row["id"]] = (row, asyncio.create_task(self._publish(row)))
        return len(rows)

    async def _publish(self, row: Any) -> None:
        exchange, event_type = row["exchange"], row["event_type"]
        try:
            await self._publisher.send(
                exchange,
                event_type,
                row["envelope"].encode(),
                message_id=str(row["event_id"]),
                mandatory=topology.is_awaited(exchange, event_type),
            )
        except (*broker.BROKER_ERRORS, broker.NotDelivered) as error:
            self._failed.append((row, error))
        else:
            self._confirmed.append(row)
        finally:
            del self._flying[row["id"]]
            self._landed.set()

    def close(self) -> None:
        """Nothing more is claimed; ``settle`` ends when everything under way has landed."""
        self._closing = True
        self._landed.set()

    async def settle(self, database: asyncpg.Connection[Any]) -> None:
        """Writes down what lands until ``close``; raises the first failure once all under way has landed."""
        while not (self._failed or self._closing):
            await self._next_landing()
            if self._confirmed:
                await self._settle_confirmed(database)
                await asyncio.sleep(SETTLE_SECONDS)
        while self._flying:
            await self._next_landing()
        try:
            await self._settle_confirmed(database)
        finally:
            await self._give_back(database)
        if self._failed:
            raise self._failed[0][1]

    async def _next_landing(self) -> None:
        """Waits until something has landed; when the broker is silent for long, nothing more will.

        One message may wait long in a long line: what counts is that confirms come at all.
        """
        silent = 0
        while not self._landed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(broker.CONFIRM_TIMEOUT_SECONDS / _LOOKS):
                    await self._landed.wait()
            silent = silent + 1 if self._flying else 0
            # Once more than it takes: in the first something may just have left, and a process that was
            # held up itself finds what has come meanwhile.
            if silent > _LOOKS:
                await self._give_up()
        self._landed.clear()

    async def _give_up(self) -> None:
        tasks = [task for _, task in self._flying.values()]
        self._failed += [(row, broker.NotDelivered(broker.NO_CONFIRM)) for row, _ in self._flying.values()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def _settle_confirmed(self, database: asyncpg.Connection[Any]) -> None:
        rows, self._confirmed = self._confirmed, []
        if not rows:
            return
        failpoint("relay.after_publish_before_mark")
        try:
            missing = await self._presence.missing()
        except broker.BROKER_ERRORS as error:
            self._failed += [(row, error) for row in rows]
            return
        if missing:
            unseen = broker.NotDelivered(f"missing queues: {', '.join(missing)}")
            self._failed += [(row, unseen) for row in rows]
            return
        await database.execute(MARK_SQL, [row["id"] for row in rows], self._token)
        for row in rows:
            metrics.EVENTS_PUBLISHED.labels(row["event_type"]).inc()
        self._wake.set()

    async def _give_back(self, database: asyncpg.Connection[Any]) -> None:
        """Rows that failed are taken again after a while, longer with every attempt."""
        by_fate: dict[tuple[str, int], list[int]] = {}
        for row, error in self._failed:
            by_fate.setdefault((str(error)[:500], row["attempts"]), []).append(row["id"])
        for (why, attempts), ids in by_fate.items():
            delay = 0.0 if why.startswith("missing") else min(0.5 * 2 ** min(attempts, 6), 30.0)
            await database.execute(RETURN_SQL, ids, self._token, why, delay)
