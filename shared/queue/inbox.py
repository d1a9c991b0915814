"""Each event takes effect once per consumer: the inbox row is written in the transaction of the effect."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from shared.failpoints import failpoint
from shared.queue.messages.base import Envelope
from shared.tables import for_psycopg2

# A row of a failed or parked event may be taken over; any other row means the event was dealt with.
TAKE_SQL: Final = """
INSERT INTO inbox (consumer, event_id, event_type, aggregate_type, aggregate_id, aggregate_sequence,
    outcome, handled_at)
VALUES (:consumer, :event_id, :event_type, :aggregate_type, :aggregate_id, :aggregate_sequence,
    'applied', :now)
ON CONFLICT (consumer, event_id) DO UPDATE SET outcome = 'applied', last_error = NULL, handled_at = :now
    WHERE inbox.outcome IN ('failed', 'parked')
RETURNING 1
"""
ADVANCE_SQL: Final = """
INSERT INTO consumed_sequence (consumer, aggregate_type, aggregate_id, sequence)
VALUES (:consumer, :aggregate_type, :aggregate_id, :aggregate_sequence)
ON CONFLICT (consumer, aggregate_type, aggregate_id) DO UPDATE SET sequence = EXCLUDED.sequence
    WHERE consumed_sequence.sequence < EXCLUDED.sequence
RETURNING 1
"""
STALE_SQL: Final = "UPDATE inbox SET outcome = 'stale' WHERE consumer = :consumer AND event_id = :event_id"
# A parked event that comes again was redriven: its tries are counted anew.
FAILED_SQL: Final = """
INSERT INTO inbox (consumer, event_id, event_type, aggregate_type, aggregate_id, aggregate_sequence,
    outcome, last_error, handled_at)
VALUES (:consumer, :event_id, :event_type, :aggregate_type, :aggregate_id, :aggregate_sequence,
    'failed', :error, :now)
ON CONFLICT (consumer, event_id) DO UPDATE SET outcome = 'failed', last_error = :error, handled_at = :now,
    attempts = CASE WHEN inbox.outcome = 'parked' THEN 1 ELSE inbox.attempts + 1 END
    WHERE inbox.outcome IN ('failed', 'parked')
RETURNING attempts
"""
PARKED_SQL: Final = """
UPDATE inbox SET outcome = 'parked' WHERE consumer = :consumer AND event_id = :event_id AND outcome = 'failed'
"""


def parameters(consumer: str, envelope: Envelope, now: datetime) -> dict[str, Any]:
    return {
        "consumer": consumer,
        "event_id": str(envelope.id),
        "event_type": envelope.type,
        "aggregate_type": envelope.aggregatetype,
        "aggregate_id": str(envelope.aggregateid),
        "aggregate_sequence": envelope.aggregatesequence,
        "now": now,
    }


async def accept_async(session: Any, consumer: str, envelope: Envelope, now: datetime) -> bool:
    """True when the event is to be applied now, in this transaction of a SQLAlchemy AsyncSession.

    False for a duplicate and for a state older than the newest applied (sequences may have gaps: every
    event carries the full state). The row of ``consumed_sequence`` stays locked until the commit.
    """
    from sqlalchemy import text

    given = parameters(consumer, envelope, now)
    if (await session.execute(text(TAKE_SQL), given)).first() is None:
        return False
    if (await session.execute(text(ADVANCE_SQL), given)).first() is None:
        await session.execute(text(STALE_SQL), given)
        return False
    failpoint("consumer.in_tx_before_commit")
    return True


def accept_sync(cursor: Any, consumer: str, envelope: Envelope, now: datetime) -> bool:
    """The same on a psycopg2 cursor inside a transaction."""
    given = parameters(consumer, envelope, now)
    cursor.execute(for_psycopg2(TAKE_SQL), given)
    if cursor.fetchone() is None:
        return False
    cursor.execute(for_psycopg2(ADVANCE_SQL), given)
    if cursor.fetchone() is None:
        cursor.execute(for_psycopg2(STALE_SQL), given)
        return False
    failpoint("consumer.in_tx_before_commit")
    return True
