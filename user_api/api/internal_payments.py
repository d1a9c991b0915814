"""Payments for BillingAPI: collections, refunds, closings, and reading for reconciliation."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Request, Response
from pydantic import Field

from shared.asgi import problem_responses
from shared.auth import Service
from shared.card_limit import CARD_LIMIT, CardLimit
from shared.errors import forbidden, invalid
from shared.idempotent_route import run_once
from shared.money import Money
from user_api.api.commerce_schemas import EmptyBody
from user_api.api.deps import AppResources, CallerService, IdempotencyKey, Line, RequestBody, key_scope
from user_api.api.paging import DEFAULT_LIMIT, Cursor, Limit
from user_api.user_service.close_invoice_payments import close_invoice_payments
from user_api.user_service.collect_payment import Collection, collect_payment
from user_api.user_service.order_refund import order_refund

router = APIRouter(prefix="/internal/v1", tags=["internal"], responses=problem_responses(401, 403))
_ALLOWED = {"billing-api", "operator"}


class ReceiptLine(RequestBody):
    label: Line
    quantity: Annotated[int, Field(ge=1)]
    amount: Money
    vat_rate_bp: Annotated[int, Field(ge=0, le=10_000)]


class Receipt(RequestBody):
    lines: Annotated[list[ReceiptLine], Field(min_length=1, max_length=100)]


class CardLimitBody(RequestBody):
    attempts: Annotated[int, Field(ge=1, le=100)]
    window_hours: Annotated[int, Field(ge=1, le=24 * 31)]


class CollectBody(RequestBody):
    user_id: UUID
    subscription_id: UUID
    invoice_id: UUID
    amount: Money
    description: Annotated[str, Field(max_length=500)]
    receipt: Receipt
    card_limit: CardLimitBody | None = None


class RefundBody(RequestBody):
    refund_order_id: UUID | None = None
    cancellation_id: UUID | None = None
    amount: Money
    reason: Annotated[str, Field(max_length=500)] = ""


def _require_billing(caller: Service) -> None:
    """Moving money is BillingAPI's to ask for."""
    if caller.name not in _ALLOWED:
        raise forbidden()


def _require_positive(amount: Money) -> None:
    if amount.amount <= 0:
        raise invalid("amount-not-positive", "The amount must be above 0.")


@router.post(
    "/payments", status_code=202, response_model=dict[str, Any], responses=problem_responses(404, 409, 429)
)
async def post_payment(
    request: Request, body: CollectBody, resources: AppResources, caller: CallerService, key: IdempotencyKey
) -> Response:
    """Charges a due invoice with the user's consent and saved method; the key is the payment's id."""
    _require_billing(caller)
    _require_positive(body.amount)
    collection = Collection(
        payment_id=_payment_id(key),
        user_id=body.user_id,
        subscription_id=body.subscription_id,
        invoice_id=body.invoice_id,
        amount=body.amount,
        description=body.description,
        receipt=body.receipt.model_dump(mode="json"),
        card_limit=CardLimit(**body.card_limit.model_dump()) if body.card_limit else CARD_LIMIT,
    )

    async def work(_: UUID) -> tuple[int, Any]:
        view = await collect_payment(resources.commerce, collection)
        return 202, {"payment": view.model_dump(mode="json")}

    scope = key_scope(request, caller.name, key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)


def _payment_id(key: str) -> UUID:
    try:
        return UUID(key)
    except ValueError as error:
        raise invalid(
            "idempotency-key-mismatch", "The Idempotency-Key is the collection attempt's id."
        ) from error


@router.get("/payments")
async def list_payments(
    resources: AppResources,
    _: CallerService,
    user_id: UUID | None = None,
    invoice_id: UUID | None = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> dict[str, Any]:
    """PayAPI's own list."""
    given = {"user_id": user_id, "invoice_id": invoice_id, "cursor": cursor, "limit": limit}
    params: dict[str, str | int] = {
        name: value if isinstance(value, int) else str(value)
        for name, value in given.items()
        if value is not None
    }
    return await resources.pay_api.list_payments(params)


@router.get("/payments/{payment_id}", responses=problem_responses(404))
async def get_payment(payment_id: UUID, resources: AppResources, _: CallerService) -> dict[str, Any]:
    """PayAPI's own view."""
    return (await resources.pay_api.get_payment(payment_id)).model_dump(mode="json")


@router.post(
    "/payments/{payment_id}/refunds",
    status_code=201,
    response_model=dict[str, Any],
    responses=problem_responses(404, 409),
)
async def post_refund(
    request: Request,
    payment_id: UUID,
    body: RefundBody,
    resources: AppResources,
    caller: CallerService,
    key: IdempotencyKey,
) -> Response:
    """Carries out a refund order or a cancellation; the key is its id."""
    _require_billing(caller)

    async def work(_: UUID) -> tuple[int, Any]:
        view = await order_refund(
            resources.commerce,
            payment_id,
            refund_order_id=body.refund_order_id,
            cancellation_id=body.cancellation_id,
            amount=body.amount,
            reason=body.reason,
            key=key,
        )
        return 201, {"payment": view.model_dump(mode="json")}

    scope = key_scope(request, caller.name, key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)


@router.post("/invoices/{invoice_id}/close-payments", response_model=dict[str, Any])
async def post_close_payments(
    request: Request,
    invoice_id: UUID,
    resources: AppResources,
    caller: CallerService,
    key: IdempotencyKey,
    body: Annotated[EmptyBody | None, Body()] = None,
) -> Response:
    """Closes what can be closed of an invoice's payments: `closed`, `in_flight` or `paid`."""
    _require_billing(caller)

    async def work(row_id: UUID) -> tuple[int, Any]:
        result = await close_invoice_payments(resources.commerce, invoice_id, row_id)
        return 200, {"invoice_id": str(invoice_id), "result": result}

    scope = key_scope(request, caller.name, key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)
