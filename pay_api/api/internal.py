"""Internal routes: what still moves by itself."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import text

from pay_api import repository
from pay_api.api.deps import EdgeDep, ServiceDep
from pay_api.api.schemas import QuiescenceView
from shared.asgi import problem_responses

router = APIRouter(tags=["internal"])


@router.get("/internal/v1/quiescence", response_model=QuiescenceView, responses=problem_responses(401))
async def quiescence(edge: EdgeDep, caller: ServiceDep) -> QuiescenceView:
    """Quiet when nothing is unsent, in flight or queued."""
    async with edge.ctx.sessions() as session:
        outbox = await session.scalar(text("SELECT count(*) FROM outbox WHERE published_at IS NULL"))
        pending = {"outbox": int(outbox or 0), **await repository.unsettled_counts(session)}
    return QuiescenceView(quiet=not any(pending.values()), pending=pending)
