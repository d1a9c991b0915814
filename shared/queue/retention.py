"""Forgets rows of outbox, inbox and idempotency keys that nobody can need any more."""

from __future__ import annotations

from typing import Any, Final

import asyncpg

OUTBOX_KEPT_DAYS: Final = 14  # the journal of ``replay --exchange``
# Longer than an event can come back from a stream or a redrive; ``consumed_sequence`` holds for ever anyway.
INBOX_KEPT_DAYS: Final = 60
KEYS_KEPT_DAYS: Final = 7
_BATCH: Final = 10_000

# By the database's own time: where the suite's clock runs ahead, rows are kept longer, never shorter.
OUTBOX_SQL: Final = """
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE published_at < clock_timestamp() - make_interval(days => $1) LIMIT $2)
"""
INBOX_SQL: Final = """
DELETE FROM inbox WHERE (consumer, event_id) IN (
    SELECT consumer, event_id FROM inbox
    WHERE outcome IN ('applied', 'stale') AND handled_at < clock_timestamp() - make_interval(days => $1)
    LIMIT $2)
"""
KEYS_SQL: Final = """
DELETE FROM idempotency_key WHERE id IN (
    SELECT id FROM idempotency_key
    WHERE created_at < clock_timestamp() - make_interval(days => $1) LIMIT $2)
"""
# (SQL with $1 days and $2 rows, days): what a service forgets beside these three.
Rule = tuple[str, int]
_RULES: Final[tuple[Rule, ...]] = (
    (OUTBOX_SQL, OUTBOX_KEPT_DAYS),
    (INBOX_SQL, INBOX_KEPT_DAYS),
    (KEYS_SQL, KEYS_KEPT_DAYS),
)


async def purge(database: asyncpg.Connection[Any], batch: int = _BATCH, also: tuple[Rule, ...] = ()) -> None:
    """Deletes all that is old enough, ``batch`` rows at a time, each in a transaction of its own."""
    for sql, days in (*_RULES, *also):
        while (await database.execute(sql, days, batch)) == f"DELETE {batch}":
            continue
