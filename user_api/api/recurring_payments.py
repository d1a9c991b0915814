"""Consents of the signed-in user to automatic charges."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import select

from shared.asgi import problem_responses
from shared.idempotent_route import run_once
from user_api.api.commerce_schemas import (
    RecurringPaymentBody,
    RecurringPaymentChange,
    RecurringPaymentView,
)
from user_api.api.deps import AppResources, ClientAddress, CurrentUser, IdempotencyKey, key_scope
from user_api.api.language import RequestLanguage
from user_api.api.paging import DEFAULT_LIMIT, Cursor, Limit, newest_first
from user_api.api.presence import prove_change_of_card, prove_presence
from user_api.user_service.change_recurring_payment import change_recurring_payment
from user_api.user_service.commerce_models import RecurringPayment
from user_api.user_service.create_recurring_payment import create_recurring_payment
from user_api.user_service.revoke_recurring_payment import revoke_recurring_payment

router = APIRouter(
    prefix="/v1/me/recurring-payments", tags=["recurring payments"], responses=problem_responses(401)
)


class RecurringPaymentList(BaseModel):
    items: list[RecurringPaymentView]
    next_cursor: str | None


@router.get("")
async def list_recurring_payments(
    resources: AppResources, user: CurrentUser, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> RecurringPaymentList:
    """Every consent given, ended ones included; newest first."""
    query = select(RecurringPayment).where(RecurringPayment.user_id == user.user_id)
    async with resources.sessions() as session:
        rows, following = await newest_first(session, query, RecurringPayment.id, cursor, limit)
    return RecurringPaymentList(items=[RecurringPaymentView.of(row) for row in rows], next_cursor=following)


@router.post(
    "", status_code=201, response_model=RecurringPaymentView, responses=problem_responses(403, 404, 409, 429)
)
async def post_recurring_payment(
    request: Request,
    body: RecurringPaymentBody,
    resources: AppResources,
    user: CurrentUser,
    key: IdempotencyKey,
    address: ClientAddress,
    language: RequestLanguage,
) -> Response:
    """Allows automatic charges of a subscription with a saved card.

    Another card than the one agreed before needs ``current_password`` from the fifth minute after the
    sign-in on, as its change does.
    """
    await prove_change_of_card(
        resources, user, body.subscription_id, body.payment_method_id, body.current_password, address
    )

    async def work(_: UUID) -> tuple[int, Any]:
        row = await create_recurring_payment(
            resources.commerce,
            user.user_id,
            body.subscription_id,
            body.payment_method_id,
            body.consent.value(language),
        )
        return 201, RecurringPaymentView.of(row)

    scope = key_scope(request, str(user.user_id), key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)


@router.patch("/{recurring_payment_id}", responses=problem_responses(403, 404, 409, 429))
async def patch_recurring_payment(
    recurring_payment_id: UUID,
    body: RecurringPaymentChange,
    resources: AppResources,
    user: CurrentUser,
    address: ClientAddress,
) -> RecurringPaymentView:
    """Charges another saved card from now on, open invoices of the subscription at once.

    Needs ``current_password`` from the fifth minute after the sign-in on.
    """
    await prove_presence(resources, user, body.current_password, address)
    row = await change_recurring_payment(
        resources.commerce, user.user_id, recurring_payment_id, body.payment_method_id
    )
    return RecurringPaymentView.of(row)


@router.delete("/{recurring_payment_id}", status_code=204, responses=problem_responses(404))
async def delete_recurring_payment(
    recurring_payment_id: UUID, resources: AppResources, user: CurrentUser
) -> Response:
    """Ends the consent: no later charge, queued ones included."""
    await revoke_recurring_payment(resources.commerce, user.user_id, recurring_payment_id)
    return Response(status_code=204)
