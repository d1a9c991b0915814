"""Runs a route's work once per Idempotency-Key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from fastapi.encoders import jsonable_encoder
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from shared import correlation, idempotency, logs, problem
from shared.clock import Clock
from shared.errors import AppError
from shared.pool import Pool

# A run that failed frees its key in so many seconds, or leaves that to the end of its lease.
RELEASE_SECONDS: Final = 0.5

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that the work stored itself, in the transaction of its effect; ``body`` is JSON."""

    status: int
    body: str


Work = Callable[[UUID], Awaitable[tuple[int, Any] | Kept]]


class Keys(Protocol):
    """Where keys are claimed and answers stored, each call in a transaction of its own."""

    async def claim(self, scope: idempotency.Scope) -> idempotency.Claimed | idempotency.Replay: ...

    async def complete(self, row_id: UUID, status: int, body: str) -> None: ...

    async def release(self, row_id: UUID) -> None: ...


class SessionKeys:
    """Keys over a SQLAlchemy session factory."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], clock: Clock) -> None:
        self._sessions, self._clock = sessions, clock

    async def claim(self, scope: idempotency.Scope) -> idempotency.Claimed | idempotency.Replay:
        async with self._sessions.begin() as session:
            return await idempotency.claim_async(session, scope, self._clock.now())

    async def complete(self, row_id: UUID, status: int, body: str) -> None:
        async with self._sessions.begin() as session:
            await idempotency.complete_async(session, row_id, status, json.loads(body), self._clock.now())

    async def release(self, row_id: UUID) -> None:
        async with self._sessions.begin() as session:
            await idempotency.release_async(session, row_id)


class PoolKeys:
    """Keys over asyncpg itself."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool, self._clock = pool, clock

    async def claim(self, scope: idempotency.Scope) -> idempotency.Claimed | idempotency.Replay:
        return await idempotency.claim_on(self._pool, scope, self._clock.now())

    async def complete(self, row_id: UUID, status: int, body: str) -> None:
        async with self._pool.connection() as connection:
            await idempotency.complete_on(connection, row_id, status, body, self._clock.now())

    async def release(self, row_id: UUID) -> None:
        async with self._pool.connection() as connection:
            await idempotency.release_on(connection, row_id)


async def run_once(
    sessions: async_sessionmaker[AsyncSession], clock: Clock, scope: idempotency.Scope, work: Work
) -> Response:
    """``run_keyed`` over SQLAlchemy sessions."""
    return await run_keyed(SessionKeys(sessions, clock), scope, work)


async def run_keyed(keys: Keys, scope: idempotency.Scope, work: Work) -> Response:
    """Claims the key, runs ``work(row_id)``, stores its final answer, or replays the stored one.

    ``work`` gives status and body, or what it has ``Kept`` itself. When it raises an AppError that is a
    final answer (see ``idempotency.storable``), the problem is stored too. After anything else the key is
    free to resume.
    """
    claim = await keys.claim(scope)
    if isinstance(claim, idempotency.Replay):
        return _response(claim.status, encode(claim.body), replayed=True)
    headers: dict[str, str] = {}
    try:
        answer = await work(claim.row_id)
        if isinstance(answer, Kept):
            return _response(answer.status, answer.body)
        status, body = answer
    except AppError as error:
        status, body, headers = problem.of_error(error, correlation.current())
    except BaseException:
        await _set_free(keys, claim.row_id)
        raise
    text = encode(jsonable_encoder(body))
    if idempotency.storable(status):
        await keys.complete(claim.row_id, status, text)
    else:
        await keys.release(claim.row_id)
    return _response(status, text, headers=headers)


async def _set_free(keys: Keys, row_id: UUID) -> None:
    """Never hides what the run failed of, nor makes its caller wait much longer for it."""
    try:
        async with asyncio.timeout(RELEASE_SECONDS):
            await keys.release(row_id)
    except Exception as error:
        log.warning("key-not-released", row_id=str(row_id), error=type(error).__name__)


def encode(body: Any) -> str:
    """The JSON of an answer, as it is sent and stored."""
    return json.dumps(body, ensure_ascii=False)


def _response(
    status: int, text: str, *, replayed: bool = False, headers: dict[str, str] | None = None
) -> Response:
    headers = {name: value for name, value in (headers or {}).items() if name != "Content-Type"}
    if replayed:
        headers[idempotency.REPLAYED_HEADER] = "true"
    media_type = problem.CONTENT_TYPE if status >= 400 else "application/json"
    return Response(text, status, headers=headers, media_type=media_type)
