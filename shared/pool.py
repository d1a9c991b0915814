"""asyncpg's own pool, for the paths where an ORM would cost more than the database does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import asyncpg

from shared import tracing, wait_budget


class Connection(Protocol):
    """What is used of an asyncpg connection."""

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Any]: ...

    async def fetchrow(self, sql: str, *arguments: Any) -> Any: ...

    async def fetchval(self, sql: str, *arguments: Any) -> Any: ...

    async def execute(self, sql: str, *arguments: Any) -> str: ...

    async def executemany(self, sql: str, arguments: Sequence[Sequence[Any]]) -> None: ...


async def _leave_as_it_is(_: Any) -> None:
    """Nothing to undo between two uses: only transactions run here, and asyncpg itself ends a forgotten one.

    The default would ask the server to reset the session, a round trip each time.
    """


class Pool:
    """Connections of one process to one database; they are made when first needed."""

    def __init__(self, database_url: str, *, size: int, wait_seconds: float) -> None:
        self._database_url = database_url
        self._size = size
        self._wait_seconds = wait_seconds
        self._pool: asyncpg.Pool[Any] | None = None
        self._opening = asyncio.Lock()

    async def _open(self) -> asyncpg.Pool[Any]:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._database_url,
                    min_size=0,
                    max_size=self._size,
                    timeout=self._wait_seconds,
                    init=tracing.watch_connection,
                    reset=_leave_as_it_is,
                )
            return self._pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection whose statements commit one by one; raises TimeoutError when none is free in time."""
        pool = self._pool or await self._open()
        async with pool.acquire(timeout=wait_budget.left(self._wait_seconds)) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction, committed at the end unless something was raised."""
        pool = self._pool or await self._open()
        seconds = wait_budget.left(self._wait_seconds)
        async with pool.acquire(timeout=seconds) as connection, connection.transaction():
            yield connection

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.close()
