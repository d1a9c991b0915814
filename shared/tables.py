"""The SQL of the idempotency, outbox and inbox tables, for migrations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

SQL: Final = (Path(__file__).parent / "tables.sql").read_text(encoding="utf-8")

_NAMED: Final = re.compile(r"(?<!:):([a-z_]+)")


def drop_sql() -> str:
    """Undoes ``SQL``."""
    return (
        "DROP TABLE consumed_sequence, inbox, outbox, aggregate_sequence, idempotency_key;"
        "DROP FUNCTION outbox_notify();"
    )


class Positional:
    """A statement with ``:name`` parameters (SQLAlchemy's form) turned into asyncpg's ``$1``, ``$2``."""

    def __init__(self, sql: str) -> None:
        self._names = list(dict.fromkeys(_NAMED.findall(sql)))
        numbers = {name: number for number, name in enumerate(self._names, 1)}
        self.sql: Final = _NAMED.sub(lambda found: f"${numbers[found[1]]}", sql)

    def arguments(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The parameters the statement knows, in its order."""
        return [parameters[name] for name in self._names]


def for_psycopg2(sql: str) -> str:
    """Turns ``:name`` parameters (SQLAlchemy's form) into ``%(name)s`` (psycopg2's)."""
    return _NAMED.sub(r"%(\1)s", sql.replace("%", "%%"))
