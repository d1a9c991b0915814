"""What staff say about money: moved by hand, or under review; AdminPanel asks, PayAPI records."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal
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
from user_api.user_service.confirm_by_hand import confirm_refund, confirm_transfer, settle_review

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
    """``actor`` is the member of staff who sent the money back, or saw that it was not sent."""

    refund_id: UUID
    finding: Literal["sent", "not_sent"] = "sent"
    reason: Annotated[Reason, Field(examples=["payment order 118 of 14 May"])]
    actor: Line


class ReviewSettlementBody(RequestBody):
    """``actor`` looked in the provider's cabinet: taken (``amount``: if not the whole), declined, voided."""

    finding: Literal["paid", "declined", "voided"]
    amount: Money | None = None
    transaction_id: Annotated[str, Field(pattern=r"^[0-9]{1,20}$")] | None = None
    reason: Annotated[Reason, Field(examples=["the cabinet shows it completed"])]
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
    """A refund that waits for a person: staff sent its money, or saw that it was not sent."""

    async def command(row_id: UUID) -> PaymentView:
        return await confirm_refund(
            resources.commerce, payment_id, body.refund_id, body.finding, body.reason, body.actor, row_id
        )

    return await _record(request, resources, caller, key, body, command)


@router.post("/{payment_id}/review-settlements", status_code=201, response_model=dict[str, Any])
async def post_review_settlement(
    request: Request,
    payment_id: UUID,
    body: ReviewSettlementBody,
    resources: AppResources,
    caller: CallerService,
    key: IdempotencyKey,
) -> Response:
    """Staff looked at a payment that needs review: it ends succeeded, failed or cancelled."""
    if body.amount is not None and body.amount.amount <= 0:
        raise invalid("amount-not-positive", "The amount must be above 0.")

    async def command(row_id: UUID) -> PaymentView:
        return await settle_review(
            resources.commerce,
            payment_id,
            body.finding,
            body.amount,
            body.transaction_id,
            body.reason,
            body.actor,
            row_id,
        )

    return await _record(request, resources, caller, key, body, command)
