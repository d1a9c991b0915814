"""What staff confirm about money moved by hand; AdminPanel asks, PayAPI records."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from shared.asgi import problem_responses
from shared.auth import Service
from shared.errors import forbidden, invalid
from shared.idempotent_route import run_once
from shared.money import Money
from user_api.api.deps import AppResources, CallerService, IdempotencyKey, Line, RequestBody, key_scope
from user_api.clients.pay_api import PaymentView
from user_api.resources import Resources
from user_api.user_service.confirm_by_hand import confirm_refund, confirm_transfer

router = APIRouter(
    prefix="/internal/v1/payments", tags=["internal"], responses=problem_responses(401, 403, 404, 409)
)
_ALLOWED = {"admin-panel", "operator"}
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class TransferConfirmationBody(RequestBody):
    """``actor`` is the member of staff who saw the money; less than the payment's amount is a part."""

    confirmation_id: UUID
    amount: Money
    reason: Annotated[Reason, Field(examples=["statement of 12 May, line 4"])]
    actor: Line


class RefundConfirmationBody(RequestBody):
    """``actor`` is the member of staff who sent the money back."""

    refund_id: UUID
    reason: Annotated[Reason, Field(examples=["payment order 118 of 14 May"])]
    actor: Line


async def _record(
    request: Request,
    resources: Resources,
    caller: Service,
    key: str,
    body: RequestBody,
    command: Callable[[UUID], Awaitable[PaymentView]],
) -> Response:
    if caller.name not in _ALLOWED:
        raise forbidden()

    async def work(row_id: UUID) -> tuple[int, Any]:
        return 201, {"payment": (await command(row_id)).model_dump(mode="json")}

    scope = key_scope(request, caller.name, key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)


@router.post("/{payment_id}/transfer-confirmations", status_code=201, response_model=dict[str, Any])
async def post_transfer_confirmation(
    request: Request,
    payment_id: UUID,
    body: TransferConfirmationBody,
    resources: AppResources,
    caller: CallerService,
    key: IdempotencyKey,
) -> Response:
    """Staff saw a bank transfer arrive; the key is the confirmation's id."""
    if body.amount.amount <= 0:
        raise invalid("amount-not-positive", "The amount must be above 0.")
    if key.lower() != str(body.confirmation_id):
        raise invalid("idempotency-key-mismatch", "The Idempotency-Key is the confirmation's id.")

    async def command(_: UUID) -> PaymentView:
        return await confirm_transfer(
            resources.commerce, payment_id, body.confirmation_id, body.amount, body.reason, body.actor
        )

    return await _record(request, resources, caller, key, body, command)


@router.post("/{payment_id}/refund-confirmations", status_code=201, response_model=dict[str, Any])
async def post_refund_confirmation(
    request: Request,
    payment_id: UUID,
    body: RefundConfirmationBody,
    resources: AppResources,
    caller: CallerService,
    key: IdempotencyKey,
) -> Response:
    """Staff sent the money of a refund that goes by hand."""

    async def command(row_id: UUID) -> PaymentView:
        return await confirm_refund(
            resources.commerce, payment_id, body.refund_id, body.reason, body.actor, row_id
        )

    return await _record(request, resources, caller, key, body, command)
