"""Tells what a failed statement means to whoever asked: the database is away, or too busy just now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.errors import AppError, unavailable

# SQLSTATE classes: connection exceptions, shut down or starting, out of connections, memory or disk.
_AWAY_STATES: Final = ("08", "57P", "53")
_AWAY_NAMES: Final = {
    "ConnectionDoesNotExistError",
    "ConnectionFailureError",
    "InterfaceError",
    "OperationalError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "gaierror",
}
# A lock not had in time, a statement that took too long, a deadlock, a serialization failure.
_RERUN_STATES: Final = ("40001", "40P01")  # a serialization failure, a deadlock
_BUSY_STATES: Final = ("55P03", "57014", "40P01", "40001")


def is_away(error: BaseException) -> bool:
    """Whether the database itself does not serve anybody now."""
    if isinstance(error, AppError):
        return False
    # psycopg2 and Django use OperationalError for lock and statement time-outs too: an SQLSTATE decides.
    states = [state for link in _chain(error) if (state := _state(link))]
    if states:
        return any(state.startswith(_AWAY_STATES) for state in states)
    return any(type(link).__name__ in _AWAY_NAMES for link in _chain(error))


def is_worth_rerunning(error: BaseException) -> bool:
    """Whether the transaction was given up for another's sake: the whole of it may be run again at once."""
    return any(_state(link) in _RERUN_STATES for link in _chain(error))


def refusal_of(error: BaseException) -> AppError | None:
    """503 for what passes by itself: the transaction was rolled back, the same request may come again.

    None for everything else: a fault of ours.
    """
    if isinstance(error, AppError):
        return None
    if is_away(error):
        return unavailable("database-unavailable", "The service cannot reach its data just now.", 2)
    busy = any(_state(link) in _BUSY_STATES or _waited_in_vain(link) for link in _chain(error))
    return unavailable("database-busy", "The database did not answer in time.", 1) if busy else None


def _waited_in_vain(error: BaseException) -> bool:
    """For a free connection of a pool: SQLAlchemy and asyncpg each have a time-out of their own for it."""
    return isinstance(error, TimeoutError) or (
        type(error).__module__ == "sqlalchemy.exc" and (type(error).__name__ == "TimeoutError")
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.append(link)
        link = link.__cause__ or link.__context__
    yield from seen


def _state(error: BaseException) -> str | None:
    state = getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None
