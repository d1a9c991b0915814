"""The Users database: engine and sessions."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

Sessions = async_sessionmaker[AsyncSession]
# Connections refused or lost, no connection free in time, locks not had in time.
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout, OSError)


def async_url(url: str) -> str:
    """``postgresql://`` addresses as SQLAlchemy's asyncpg dialect wants them."""
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)


def open_engine(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """An engine with a bounded pool: when it is used up, callers wait at most 5 seconds."""
    return create_async_engine(
        async_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_recycle=1800,
        pool_pre_ping=True,
        hide_parameters=True,  # a failing statement's values stay out of the logs
        connect_args={"timeout": 5, "command_timeout": 15},
    )


def make_sessions(engine: AsyncEngine) -> Sessions:
    """A factory of sessions; ``async with sessions.begin() as session`` is one transaction.

    The transaction belongs to the use case and is committed before the answer is formed.
    """
    return async_sessionmaker(engine, expire_on_commit=False)
