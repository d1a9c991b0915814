"""Runs a route's work once per Idempotency-Key, on a SQLAlchemy async session factory."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from fastapi.encoders import jsonable_encoder
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from shared import correlation, idempotency, problem
from shared.clock import Clock
from shared.errors import AppError

Work = Callable[[UUID], Awaitable[tuple[int, Any]]]


async def run_once(
    sessions: async_sessionmaker[AsyncSession], clock: Clock, scope: idempotency.Scope, work: Work
) -> Response:
    """Claims the key, runs ``work(row_id)``, stores its final answer, or replays the stored one.

    ``work`` gives status and body. When it raises an AppError that is a final answer (see
    ``idempotency.storable``), the problem is stored too. After anything else the key is free to resume.
    A ``work`` that stored the answer in the transaction of its effect is not overwritten.
    """
    async with sessions.begin() as session:
        claim = await idempotency.claim_async(session, scope, clock.now())
    if isinstance(claim, idempotency.Replay):
        return _response(claim.status, claim.body, replayed=True)
    try:
        status, body = await work(claim.row_id)
        headers: dict[str, str] = {}
    except AppError as error:
        status, body, headers = problem.of_error(error, correlation.current())
    except BaseException:
        async with sessions.begin() as session:
            await idempotency.release_async(session, claim.row_id)
        raise
    encoded = jsonable_encoder(body)
    async with sessions.begin() as session:
        if idempotency.storable(status):
            await idempotency.complete_async(session, claim.row_id, status, encoded, clock.now())
        else:
            await idempotency.release_async(session, claim.row_id)
    return _response(status, encoded, headers=headers)


def _response(
    status: int, body: Any, *, replayed: bool = False, headers: dict[str, str] | None = None
) -> Response:
    headers = {name: value for name, value in (headers or {}).items() if name != "Content-Type"}
    if replayed:
        headers[idempotency.REPLAYED_HEADER] = "true"
    media_type = problem.CONTENT_TYPE if status >= 400 else "application/json"
    return Response(json.dumps(body, ensure_ascii=False), status, headers=headers, media_type=media_type)
