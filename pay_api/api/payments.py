"""Routes of payments for services: start, look, list, capture, cancel."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from pay_api import repository
from pay_api.api.beside_payment import Beside, beside
from pay_api.api.deps import Edge, EdgeDep, KeyHeader, ServiceDep, run_keeping, run_keyed
from pay_api.api.schemas import (
    CancelBody,
    CaptureBody,
    CardCryptogram,
    HostedMethod,
    PaymentPage,
    PaymentView,
    SavedMethod,
    StartPaymentBody,
    json_of,
    view_payment,
)
from pay_api.models import Payment
from pay_api.pay_service.cancel_payment import CancelPayment, cancel_payment
from pay_api.pay_service.capture_payment import capture_payment
from pay_api.pay_service.expected_receipts import with_first_verdict
from pay_api.pay_service.start_payment import StartPayment, start_payment
from pay_api.providers.base import MethodKind, ReceiptLine
from pay_api.vault import Payer
from shared import idempotency
from shared.asgi import problem_responses
from shared.errors import AppError, Kind, invalid, not_found
from shared.idempotent_route import Kept, encode
from shared.pagination import DEFAULT_LIMIT, MAX_LIMIT, decode_cursor, page
from shared.queue.messages.payments import PaymentStatus
from shared.writes import Write

router = APIRouter(tags=["payments"])


async def load_view(edge: Edge, payment_id: UUID) -> PaymentView:
    """The payment as it is now; raises ``payment-not-found`` (404)."""
    async with edge.ctx.sessions() as session:
        payment = await repository.payment(session, payment_id)
        if payment is None:
            raise not_found("payment")
        refunds = await repository.refunds_of(session, payment_id)
        return view_payment(payment, refunds, edge.links, await beside(session, payment_id))


def _command(body: StartPaymentBody, caller: str) -> StartPayment:
    lines = tuple(
        ReceiptLine(line.label, line.quantity, line.amount.amount, line.vat_rate_bp)
        for line in body.receipt.lines
    )
    if any(line.amount.currency != body.amount.currency for line in body.receipt.lines):
        raise invalid("receipt-mismatch", "The lines of the receipt are in another currency.")
    method = body.method
    card = method if isinstance(method, CardCryptogram) else None
    name = card.cardholder_name if card else None
    return StartPayment(
        payment_id=body.payment_id,
        invoice_id=body.invoice_id,
        user_id=body.user_id,
        amount=body.amount,
        description=body.description,
        initiator=body.initiator,
        capture=body.capture,
        payer=Payer(body.payer.email, str(body.payer.ip) if body.payer.ip else None, name),
        locale=body.payer.locale,
        receipt=lines,
        return_url=body.return_url,
        caller=caller,
        method_kind=MethodKind(method.kind),
        provider=body.provider,
        card_cryptogram=card.card_cryptogram if card else None,
        payment_method_id=method.payment_method_id if isinstance(method, SavedMethod) else None,
        save_method=isinstance(method, CardCryptogram | HostedMethod) and method.save_method,
    )


@router.post(
    "/v1/payments",
    status_code=201,
    response_model=PaymentView,
    responses={202: {"model": PaymentView}, **problem_responses(401, 409)},
)
async def start(
    request: Request, body: StartPaymentBody, edge: EdgeDep, caller: ServiceDep, key: KeyHeader = None
) -> Response:
    """Pays an invoice. Whatever became of it is the answer: a decline is a payment ``failed``."""
    status = 202 if body.initiator == "merchant" else 201

    async def work(key_id: UUID) -> tuple[int, Any] | Kept:
        kept: list[Kept] = []

        def keep(payment: Payment) -> Write:
            now = edge.ctx.clock.now()
            awaited = Beside(with_first_verdict(edge.ctx, payment, now))
            kept.append(Kept(status, encode(json_of(view_payment(payment, (), edge.links, awaited)))))
            return idempotency.completion(key_id, status, kept[-1].body, now)

        if await start_payment(edge.ctx, _command(body, caller.name), keep):
            return kept[-1]
        return (status, json_of(await load_view(edge, body.payment_id)))

    return await run_keeping(request, edge, caller, key, body.model_dump(mode="json"), work)


@router.get("/v1/payments/{payment_id}", response_model=PaymentView, responses=problem_responses(401, 404))
async def show(payment_id: UUID, edge: EdgeDep, caller: ServiceDep) -> PaymentView:
    """One payment."""
    return await load_view(edge, payment_id)


@router.get("/v1/payments", response_model=PaymentPage, responses=problem_responses(401))
async def list_(
    edge: EdgeDep,
    caller: ServiceDep,
    user_id: UUID | None = None,
    invoice_id: UUID | None = None,
    status: PaymentStatus | None = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
) -> PaymentPage:
    """Payments, newest first."""
    async with edge.ctx.sessions() as session:
        found = await repository.list_payments(
            session,
            user_id=user_id,
            invoice_id=invoice_id,
            status=status.value if status else None,
            before=read_cursor(cursor) if cursor else None,
            limit=limit,
        )
        shown, next_cursor = page(found, limit, lambda row: (row.created_at.isoformat(), str(row.id)))
        ids = [payment.id for payment in shown]
        refunds, besides = await repository.refunds_of_all(session, ids), await beside(session, *ids)
    items = [view_payment(payment, refunds[payment.id], edge.links, besides) for payment in shown]
    return PaymentPage(items=items, next_cursor=next_cursor)


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """Where a list ordered by time and id goes on; raises ``cursor-invalid`` (400)."""
    moment, payment_id = decode_cursor(cursor, str, str)
    try:
        created_at = datetime.fromisoformat(moment)
        if created_at.tzinfo is None:
            raise ValueError("a moment without a zone")
        return created_at.astimezone(UTC), UUID(payment_id)
    except (ValueError, OverflowError) as error:  # a zone may lead out of the calendar
        raise AppError("cursor-invalid", Kind.MALFORMED, "This cursor was not given by this list.") from error


@router.post(
    "/v1/payments/{payment_id}/cancel",
    response_model=PaymentView,
    responses=problem_responses(401, 404, 409),
)
async def cancel(
    request: Request,
    payment_id: UUID,
    body: CancelBody,
    edge: EdgeDep,
    caller: ServiceDep,
    key: KeyHeader = None,
) -> Response:
    """Closes, voids or refunds: whichever the payment's state needs."""

    async def work() -> tuple[int, Any]:
        command = CancelPayment(
            payment_id,
            body.cancellation_id,
            body.amount,
            body.reason,
            caller.name,
            uncaptured_only=body.uncaptured_only,
        )
        await cancel_payment(edge.ctx, command)
        return 200, json_of(await load_view(edge, payment_id))

    return await run_keyed(request, edge, caller, key, body.model_dump(mode="json"), work)


@router.post(
    "/v1/payments/{payment_id}/capture",
    response_model=PaymentView,
    responses=problem_responses(401, 404, 409),
)
async def capture(
    request: Request,
    payment_id: UUID,
    body: CaptureBody,
    edge: EdgeDep,
    caller: ServiceDep,
    key: KeyHeader = None,
) -> Response:
    """Takes held money, whole or in part."""

    async def work() -> tuple[int, Any]:
        await capture_payment(edge.ctx, payment_id, body.amount, caller.name)
        return 200, json_of(await load_view(edge, payment_id))

    return await run_keyed(request, edge, caller, key, body.model_dump(mode="json"), work)
