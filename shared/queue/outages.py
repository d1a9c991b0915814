"""Tells an outage of a handler's own database or network from a fault of the message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.errors import AppError, Kind

_NAMES: Final = {
    "ConnectionDoesNotExistError",
    "ConnectionFailureError",
    "InterfaceError",
    "OperationalError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "gaierror",
}
# SQLSTATE: connection exceptions, shut down or starting, out of connections, memory or disk.
_STATES: Final = ("08", "57P", "53")


def is_outage(error: BaseException) -> bool:
    """Whether something the handler needs is away: no fault of the message, so no try is spent."""
    if isinstance(error, AppError):
        return error.kind is Kind.UNAVAILABLE
    return is_database_away(error)


def is_database_away(error: BaseException) -> bool:
    """Whether the database itself does not serve anybody now."""
    if isinstance(error, AppError):
        return False
    # psycopg2 and Django use OperationalError for lock and statement time-outs too: an SQLSTATE decides.
    states = [state for link in _chain(error) if (state := _state(link))]
    if states:
        return any(state.startswith(_STATES) for state in states)
    return any(type(link).__name__ in _NAMES for link in _chain(error))


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
