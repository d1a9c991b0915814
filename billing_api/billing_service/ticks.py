"""The suite moment up to which each periodic run has been completed."""

from __future__ import annotations

from datetime import datetime

from billing_api.billing_service.database import cursor

_SQL = """
INSERT INTO run_tick (kind, as_of, finished_at) VALUES (%s, %s, %s)
ON CONFLICT (kind) DO UPDATE
    SET as_of = greatest(run_tick.as_of, EXCLUDED.as_of), finished_at = EXCLUDED.finished_at
"""


def complete(kind: str, as_of: datetime, now: datetime) -> None:
    """``kind``: billing | collection | maintenance. A tick never goes back."""
    with cursor() as database:
        database.execute(_SQL, [kind, as_of, now])
