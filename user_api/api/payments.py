"""Payments of the signed-in user."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Request, Response
from pydantic import BaseModel
from sqlalchemy import select

from shared.asgi import problem_responses
from shared.errors import not_found
from shared.idempotent_route import run_once
from user_api.api.commerce_schemas import EmptyBody, PaymentSummary
from user_api.api.deps import AppResources, CurrentUser, IdempotencyKey, key_scope
from user_api.api.paging import DEFAULT_LIMIT, Cursor, Limit, newest_first
from user_api.user_service.cancel_payment import cancel_payment
from user_api.user_service.commerce_models import Payment

router = APIRouter(prefix="/v1/me/payments", tags=["payments"], responses=problem_responses(401))


class PaymentList(BaseModel):
    items: list[PaymentSummary]
    next_cursor: str | None


@router.get("")
async def list_payments(
    resources: AppResources, user: CurrentUser, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> PaymentList:
    """Payments with their status and, for a declined one, the reason; newest first."""
    query = select(Payment).where(Payment.user_id == user.user_id, Payment.known_at.is_not(None))
    async with resources.sessions() as session:
        rows, following = await newest_first(session, query, Payment.id, cursor, limit)
    return PaymentList(items=[PaymentSummary.of(row) for row in rows], next_cursor=following)


@router.get("/{payment_id}", responses=problem_responses(404))
async def get_payment(payment_id: UUID, resources: AppResources, user: CurrentUser) -> PaymentSummary:
    """One payment."""
    async with resources.sessions() as session:
        row = await session.get(Payment, payment_id)
    if row is None or row.user_id != user.user_id or row.known_at is None:
        raise not_found("payment")
    return PaymentSummary.of(row)


@router.post("/{payment_id}/cancel", response_model=dict[str, Any], responses=problem_responses(404, 409))
async def post_cancel(
    request: Request,
    payment_id: UUID,
    resources: AppResources,
    user: CurrentUser,
    key: IdempotencyKey,
    body: Annotated[EmptyBody | None, Body()] = None,
) -> Response:
    """Voids or refunds a payment, whole; what it bought ends by events."""

    async def work(row_id: UUID) -> tuple[int, Any]:
        done = await cancel_payment(resources.commerce, user.user_id, payment_id, row_id)
        return 200, {
            "payment": PaymentSummary.of(done.payment),
            "cancellation_id": str(done.cancellation_id),
        }

    scope = key_scope(request, str(user.user_id), key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)
