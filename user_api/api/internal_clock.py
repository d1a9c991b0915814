"""Moves the suite's clock; this router is not in the app in production."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from shared.asgi import problem_responses
from shared.clock import SystemClock, advance_suite_clock
from shared.errors import conflict, forbidden, invalid
from user_api.api.deps import AppResources, CallerService, RequestBody

router = APIRouter(prefix="/internal/v1", tags=["internal"], responses=problem_responses(401, 403, 409))
_MAX_DAYS: Final = 3660


class TimeTravelBody(RequestBody):
    days: int = Field(default=0, ge=0, le=_MAX_DAYS)
    seconds: int = Field(default=0, ge=0, le=_MAX_DAYS * 86_400)


class SuiteTime(BaseModel):
    """The whole offset from the host's clock, and the suite's moment."""

    offset_seconds: int
    now: datetime


@router.post("/time-travel")
async def time_travel(body: TimeTravelBody, resources: AppResources, caller: CallerService) -> SuiteTime:
    """Moves every process of the suite forward; they follow within a second."""
    if caller.name != "operator":
        raise forbidden()
    if not body.days and not body.seconds:
        raise invalid("invalid-request", "Say how far: days, seconds or both.")
    url = resources.settings.clock_redis_url
    if url is None:
        raise conflict("clock-not-adjustable", "This stack runs on the host's clock.")
    step = timedelta(days=body.days, seconds=body.seconds)
    offset = await asyncio.to_thread(advance_suite_clock, url, step)
    return SuiteTime(offset_seconds=int(offset.total_seconds()), now=SystemClock().now() + offset)
