"""What a failed statement means to whoever asked: come again, or a fault of ours."""

from __future__ import annotations

import asyncpg
import pytest
import sqlalchemy.exc

from shared.database_errors import refusal_of
from shared.errors import AppError, not_found

BUSY = [
    asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
    asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
    asyncpg.DeadlockDetectedError("deadlock"),
    asyncpg.SerializationError("could not serialize"),
    sqlalchemy.exc.TimeoutError("QueuePool limit reached"),
    TimeoutError(),
]
AWAY = [
    asyncpg.ConnectionDoesNotExistError("closed in the middle of operation"),
    asyncpg.AdminShutdownError("terminating connection"),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.TooManyConnectionsError("too many clients"),
    asyncpg.DiskFullError("no space left"),
    asyncpg.InterfaceError("connection is closed"),
    ConnectionRefusedError("refused"),
]
OURS = [
    asyncpg.UniqueViolationError("duplicate key"),
    asyncpg.CheckViolationError("unlawful step"),
    asyncpg.UndefinedTableError("no such table"),
    ValueError("a bug"),
    not_found("payment"),
]


def wrapped(cause: Exception) -> Exception:
    """As SQLAlchemy hands it on: the driver's error is the cause."""
    outer = sqlalchemy.exc.DBAPIError("SELECT 1", {}, cause)
    outer.__cause__ = cause
    return outer


def code(error: BaseException) -> str | None:
    refusal = refusal_of(error)
    assert refusal is None or refusal.retry_after_seconds
    return refusal.code if refusal else None


@pytest.mark.parametrize("error", BUSY, ids=lambda error: type(error).__name__)
def test_a_busy_database_is_said_to_be_busy(error: Exception) -> None:
    assert code(error) == "database-busy"
    assert code(wrapped(error)) == "database-busy"


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_a_database_that_is_away_is_said_to_be_away(error: Exception) -> None:
    assert code(error) == "database-unavailable"
    assert code(wrapped(error)) == "database-unavailable"


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
def test_everything_else_is_a_fault_of_ours(error: Exception) -> None:
    assert code(error) is None
    if not isinstance(error, AppError):
        assert code(wrapped(error)) is None
