"""Several writes as one SQL statement: all or nothing, in one round trip to the database."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shared.pool import Connection

_PLACE: Final = re.compile(r"\$(\d+)")
# The first write: the others read from it, and write nothing when it gives no row.
GUARD: Final = "guard"
GUARDED: Final = f"EXISTS (SELECT FROM {GUARD})"


@dataclass(frozen=True, slots=True)
class Write:
    """An INSERT or UPDATE with ``$1``, ``$2`` of its own, ending in RETURNING.

    All see the database as it was before the first: no two may touch the same row.
    """

    name: str
    sql: str
    arguments: Sequence[Any]


UNGUARDED: Final = Write(GUARD, "SELECT true", ())


async def write_together(connection: Connection, guard: Write, *writes: Write) -> bool:
    """Writes all of them, or nothing and gives False when the guard gives no row."""
    whole = (guard, *writes)
    statement = _together(tuple((write.name, write.sql, len(write.arguments)) for write in whole))
    arguments = [argument for write in whole for argument in write.arguments]
    return bool(await connection.fetchval(statement, *arguments))


@lru_cache(maxsize=64)
def _together(parts: tuple[tuple[str, str, int], ...]) -> str:
    taken, clauses = 0, []
    for name, sql, arguments in parts:
        clauses.append(f"{name} AS ({_shifted(sql, taken)})")
        taken += arguments
    return f"WITH {', '.join(clauses)} SELECT {GUARDED}"


def _shifted(sql: str, by: int) -> str:
    return _PLACE.sub(lambda place: f"${int(place[1]) + by}", sql)
