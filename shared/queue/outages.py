"""Tells an outage of a handler's own database or network from a fault of the message."""

from __future__ import annotations

from shared.database_errors import is_away as is_database_away
from shared.errors import AppError, Kind

__all__ = ["is_database_away", "is_outage"]


def is_outage(error: BaseException) -> bool:
    """Whether something the handler needs is away: no fault of the message, so no try is spent."""
    if isinstance(error, AppError):
        return error.kind is Kind.UNAVAILABLE
    return is_database_away(error)
