"""Writes events into the outbox, in the transaction of the change they tell of."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from shared import correlation, tracing
from shared.ids import new_id
from shared.queue.messages.base import Envelope, EventState, schema_uri, state_type
from shared.tables import Positional, for_psycopg2
from shared.writes import Write

# The sequence is known to the database alone, which writes it into the envelope too. The row of
# ``aggregate_sequence`` stays locked until the transaction ends: events of one aggregate come one by one.
_NUMBER_SQL: Final = """
INSERT INTO aggregate_sequence (aggregate_type, aggregate_id, sequence)
SELECT :aggregate_type, CAST(:aggregate_id AS uuid), 1 FROM guard
ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET sequence = aggregate_sequence.sequence + 1
RETURNING aggregate_type, aggregate_id, sequence
"""
_TELL_SQL: Final = """
INSERT INTO outbox (event_id, exchange, event_type, aggregate_type, aggregate_id, aggregate_sequence,
    envelope, created_at)
SELECT CAST(:event_id AS uuid), :exchange, :event_type, aggregate_type, aggregate_id, sequence,
    jsonb_set(CAST(:envelope AS jsonb), '{aggregatesequence}', to_jsonb(sequence)),
    CAST(:created_at AS timestamptz)
FROM numbered
RETURNING aggregate_sequence
"""
ADD_SQL: Final = f"WITH guard AS (SELECT true), numbered AS ({_NUMBER_SQL}) {_TELL_SQL}"
_NUMBER: Final = Positional(_NUMBER_SQL)
_TELL: Final = Positional(_TELL_SQL)
_UNKNOWN_YET: Final = 1


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
        "envelope": json.dumps(envelope.to_json(), ensure_ascii=False, separators=(",", ":")),
        "created_at": now,
    }


def _numbered(envelope: Envelope, sequence: int) -> Envelope:
    return envelope.model_copy(update={"aggregatesequence": sequence})


async def add_async(
    session: Any, source: str, event_type: str, aggregate_id: UUID, state: EventState, now: datetime
) -> Envelope:
    """Adds an event through a SQLAlchemy AsyncSession; nothing is sent before its transaction commits."""
    from sqlalchemy import text

    with tracing.creating(event_type):
        envelope = build_envelope(source, event_type, aggregate_id, _UNKNOWN_YET, state, now)
        found = await session.execute(text(ADD_SQL), _row(envelope, state, now))
    return _numbered(envelope, int(found.scalar_one()))


def event_writes(
    source: str, event_type: str, aggregate_id: UUID, state: EventState, now: datetime
) -> tuple[Write, Write]:
    """The same as two of several writes (``shared.writes``); one event of an aggregate at a time."""
    with tracing.creating(event_type):
        row = _row(build_envelope(source, event_type, aggregate_id, _UNKNOWN_YET, state, now), state, now)
    return (
        Write("numbered", _NUMBER.sql, _NUMBER.arguments(row)),
        Write("told", _TELL.sql, _TELL.arguments(row)),
    )


def add_sync(
    cursor: Any, source: str, event_type: str, aggregate_id: UUID, state: EventState, now: datetime
) -> Envelope:
    """The same on a psycopg2 cursor (Django) inside a transaction."""
    with tracing.creating(event_type):
        envelope = build_envelope(source, event_type, aggregate_id, _UNKNOWN_YET, state, now)
        cursor.execute(for_psycopg2(ADD_SQL), _row(envelope, state, now))
        sequence = int(cursor.fetchone()[0])
    return _numbered(envelope, sequence)
