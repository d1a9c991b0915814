"""The SQL of the idempotency, outbox and inbox tables, for migrations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

SQL: Final = (Path(__file__).parent / "tables.sql").read_text(encoding="utf-8")

_NAMED: Final = re.compile(r"(?<!:):([a-z_]+)")


def drop_sql() -> str:
    """Undoes ``SQL``."""
    return (
        "DROP TABLE consumed_sequence, inbox, outbox, aggregate_sequence, idempotency_key;"
        "DROP FUNCTION outbox_notify();"
    )


def for_psycopg2(sql: str) -> str:
    """Turns ``:name`` parameters (SQLAlchemy's form) into ``%(name)s`` (psycopg2's)."""
    return _NAMED.sub(r"%(\1)s", sql.replace("%", "%%"))
