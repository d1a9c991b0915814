"""Writes events into the outbox, in the transaction of the change they tell of."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from shared import correlation, tracing
from shared.ids import new_id
from shared.queue.messages.base import Envelope, EventState, schema_uri, state_type
from shared.tables import for_psycopg2

NEXT_SEQUENCE_SQL: Final = """
INSERT INTO aggregate_sequence (aggregate_type, aggregate_id, sequence)
VALUES (:aggregate_type, :aggregate_id, 1)
ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET sequence = aggregate_sequence.sequence + 1
RETURNING sequence
"""
INSERT_SQL: Final = """
INSERT INTO outbox (event_id, exchange, event_type, aggregate_type, aggregate_id, aggregate_sequence,
    envelope, created_at)
VALUES (:event_id, :exchange, :event_type, :aggregate_type, :aggregate_id, :aggregate_sequence,
    CAST(:envelope AS jsonb), :created_at)
"""


def _sequence_parameters(state: EventState, aggregate_id: UUID) -> dict[str, Any]:
    return {"aggregate_type": state.AGGREGATE, "aggregate_id": str(aggregate_id)}


def build_envelope(
    source: str, event_type: str, aggregate_id: UUID, sequence: int, state: EventState, now: datetime
) -> Envelope:
    """The CloudEvent for a state; raises ValueError when the type does not belong to the state's class."""
    if state_type(event_type) is not type(state):
        raise ValueError(f"{event_type} does not carry {type(state).__name__}")
    return Envelope(
        id=new_id(),
        source=f"/{source}",
        type=event_type,
        subject=f"{state.AGGREGATE}/{aggregate_id}",
        time=now,
        dataschema=schema_uri(event_type),
        aggregatetype=state.AGGREGATE,
        aggregateid=aggregate_id,
        aggregatesequence=sequence,
        correlationid=correlation.current(),
        causationid=correlation.causation(),
        traceparent=tracing.traceparent(),
        data=state.model_dump(mode="json"),
    )


def _row(envelope: Envelope, state: EventState, now: datetime) -> dict[str, Any]:
    return {
        "event_id": str(envelope.id),
        "exchange": state.EXCHANGE,
        "event_type": envelope.type,
        "aggregate_type": state.AGGREGATE,
        "aggregate_id": str(envelope.aggregateid),
        "aggregate_sequence": envelope.aggregatesequence,
        "envelope": json.dumps(envelope.to_json(), ensure_ascii=False, separators=(",", ":")),
        "created_at": now,
    }


async def add_async(
    session: Any, source: str, event_type: str, aggregate_id: UUID, state: EventState, now: datetime
) -> Envelope:
    """Adds an event through a SQLAlchemy AsyncSession; nothing is sent before its transaction commits.

    The row of ``aggregate_sequence`` stays locked until then: events of one aggregate are written one by one.
    """
    from sqlalchemy import text

    with tracing.creating(event_type):
        found = await session.execute(text(NEXT_SEQUENCE_SQL), _sequence_parameters(state, aggregate_id))
        envelope = build_envelope(source, event_type, aggregate_id, int(found.scalar_one()), state, now)
        await session.execute(text(INSERT_SQL), _row(envelope, state, now))
    return envelope


def add_sync(
    cursor: Any, source: str, event_type: str, aggregate_id: UUID, state: EventState, now: datetime
) -> Envelope:
    """The same on a psycopg2 cursor (Django) inside a transaction."""
    with tracing.creating(event_type):
        cursor.execute(for_psycopg2(NEXT_SEQUENCE_SQL), _sequence_parameters(state, aggregate_id))
        envelope = build_envelope(source, event_type, aggregate_id, int(cursor.fetchone()[0]), state, now)
        cursor.execute(for_psycopg2(INSERT_SQL), _row(envelope, state, now))
    return envelope
