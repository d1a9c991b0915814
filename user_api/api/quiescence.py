"""Tells whether UserAPI has nothing left to do by itself."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import text

from shared.asgi import problem_responses
from user_api.api.deps import AppResources, CallerService

router = APIRouter(prefix="/internal/v1", tags=["internal"], responses=problem_responses(401))

# What is pending -> how many rows of it there are at the moment :now.
PENDING_SQL: Final[dict[str, str]] = {
    "outbox": "SELECT count(*) FROM outbox WHERE published_at IS NULL",
    "requests": "SELECT count(*) FROM idempotency_key WHERE response_status IS NULL AND leased_until > :now",
    "erasures": "SELECT count(*) FROM erasures WHERE completed_at IS NULL",
    "failed_events": "SELECT count(*) FROM inbox WHERE outcome = 'failed'",
}


class Quiescence(BaseModel):
    quiet: bool
    pending: dict[str, int]


@router.get("/quiescence")
async def get_quiescence(resources: AppResources, caller: CallerService) -> Quiescence:
    """Events not yet published, requests in flight, events that failed and will be tried again."""
    now = resources.clock.now()
    async with resources.sessions() as session:
        pending = {
            name: int(await session.scalar(text(sql), {"now": now} if ":now" in sql else {}) or 0)
            for name, sql in PENDING_SQL.items()
        }
    return Quiescence(quiet=not any(pending.values()), pending=pending)
