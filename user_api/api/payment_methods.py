"""Saved cards of the signed-in user."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import select

from shared.asgi import problem_responses
from shared.idempotent_route import run_once
from user_api.api.commerce_schemas import AddMethodBody, PaymentMethodView, PaymentSummary
from user_api.api.deps import AppResources, ClientAddress, CurrentUser, IdempotencyKey, key_scope
from user_api.api.language import RequestLanguage
from user_api.api.paging import DEFAULT_LIMIT, Cursor, Limit, newest_first
from user_api.api.presence import prove_presence
from user_api.user_service.add_payment_method import add_payment_method
from user_api.user_service.commerce_models import PaymentMethod
from user_api.user_service.detach_method import detach_method

router = APIRouter(
    prefix="/v1/me/payment-methods", tags=["payment methods"], responses=problem_responses(401)
)


class PaymentMethodList(BaseModel):
    items: list[PaymentMethodView]
    next_cursor: str | None


@router.get("")
async def list_payment_methods(
    resources: AppResources, user: CurrentUser, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> PaymentMethodList:
    """Saved cards, masked; newest first."""
    query = select(PaymentMethod).where(
        PaymentMethod.user_id == user.user_id, PaymentMethod.detached_at.is_(None)
    )
    async with resources.sessions() as session:
        rows, following = await newest_first(session, query, PaymentMethod.id, cursor, limit)
    return PaymentMethodList(items=[PaymentMethodView.of(row) for row in rows], next_cursor=following)


@router.post("", status_code=201, response_model=dict[str, Any], responses=problem_responses(403, 409, 429))
async def post_payment_method(
    request: Request,
    body: AddMethodBody,
    resources: AppResources,
    user: CurrentUser,
    key: IdempotencyKey,
    address: ClientAddress,
    language: RequestLanguage,
) -> Response:
    """Saves a card without a purchase: 201 `{payment}`; `next_action` when the bank wants a confirmation.

    The card appears in the list when its check has ended; the check's 1.00 RUB is given back. Needs
    ``current_password`` from the fifth minute after the sign-in on.
    """
    await prove_presence(resources, user, body.current_password, address)
    wish = body.wish(resources.settings.allowed_return_origins, address, language)

    async def work(row_id: UUID) -> tuple[int, Any]:
        payment = await add_payment_method(resources.commerce, row_id, user.user_id, wish)
        return 201, {"payment": PaymentSummary.of(payment)}

    scope = key_scope(request, str(user.user_id), key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)


@router.delete("/{payment_method_id}", status_code=204, responses=problem_responses(404))
async def delete_payment_method(
    payment_method_id: UUID, resources: AppResources, user: CurrentUser
) -> Response:
    """Ends the automatic charges of a card, then has it forgotten."""
    await detach_method(resources.commerce, user.user_id, payment_method_id)
    return Response(status_code=204)
