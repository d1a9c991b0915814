"""Internal routes: what still moves by itself, and what staff saw or did by hand."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import text

from pay_api import repository
from pay_api.api.deps import EdgeDep, KeyHeader, ServiceDep, run_keyed
from pay_api.api.payments import load_view
from pay_api.api.schemas import (
    PaymentView,
    QuiescenceView,
    RefundConfirmationBody,
    ReviewSettlementBody,
    TransferConfirmationBody,
    json_of,
)
from pay_api.pay_service.confirm_refund import ConfirmRefund, confirm_refund
from pay_api.pay_service.confirm_transfer import ConfirmTransfer, confirm_transfer
from pay_api.pay_service.settle_review import SettleReview, settle_review
from shared.asgi import problem_responses

router = APIRouter(tags=["internal"])


@router.get("/internal/v1/quiescence", response_model=QuiescenceView, responses=problem_responses(401))
async def quiescence(edge: EdgeDep, caller: ServiceDep) -> QuiescenceView:
    """Quiet when nothing is unsent, in flight or queued."""
    async with edge.ctx.sessions() as session:
        outbox = await session.scalar(text("SELECT count(*) FROM outbox WHERE published_at IS NULL"))
        pending = {"outbox": int(outbox or 0), **await repository.unsettled_counts(session)}
    return QuiescenceView(quiet=not any(pending.values()), pending=pending)


@router.post(
    "/internal/v1/payments/{payment_id}/transfer-confirmations",
    status_code=201,
    response_model=PaymentView,
    responses=problem_responses(401, 404, 409),
)
async def confirm(
    request: Request,
    payment_id: UUID,
    body: TransferConfirmationBody,
    edge: EdgeDep,
    caller: ServiceDep,
    key: KeyHeader = None,
) -> Response:
    """The bank transfer has come, whole or in part; a part leaves the invoice free for the rest."""

    async def work() -> tuple[int, Any]:
        command = ConfirmTransfer(
            payment_id, body.confirmation_id, body.amount, body.actor, body.reason, caller.name
        )
        await confirm_transfer(edge.ctx, command)
        return 201, json_of(await load_view(edge, payment_id))

    return await run_keyed(request, edge, caller, key, body.model_dump(mode="json"), work)


@router.post(
    "/internal/v1/payments/{payment_id}/refund-confirmations",
    status_code=201,
    response_model=PaymentView,
    responses=problem_responses(401, 404, 409),
)
async def confirm_sent_refund(
    request: Request,
    payment_id: UUID,
    body: RefundConfirmationBody,
    edge: EdgeDep,
    caller: ServiceDep,
    key: KeyHeader = None,
) -> Response:
    """A refund that waits for a person: its money was sent by hand and counts now, or was not and is free."""

    async def work() -> tuple[int, Any]:
        await confirm_refund(
            edge.ctx,
            ConfirmRefund(payment_id, body.refund_id, body.finding, body.actor, body.reason, caller.name),
        )
        return 201, json_of(await load_view(edge, payment_id))

    return await run_keyed(request, edge, caller, key, body.model_dump(mode="json"), work)


@router.post(
    "/internal/v1/payments/{payment_id}/review-settlements",
    status_code=201,
    response_model=PaymentView,
    responses=problem_responses(401, 404, 409),
)
async def settle(
    request: Request,
    payment_id: UUID,
    body: ReviewSettlementBody,
    edge: EdgeDep,
    caller: ServiceDep,
    key: KeyHeader = None,
) -> Response:
    """Staff looked at a payment under review: this ends the review."""

    async def work() -> tuple[int, Any]:
        command = SettleReview(
            payment_id,
            body.finding,
            body.amount,
            body.transaction_id,
            body.actor,
            body.reason,
            caller.name,
        )
        await settle_review(edge.ctx, command)
        return 201, json_of(await load_view(edge, payment_id))

    return await run_keyed(request, edge, caller, key, body.model_dump(mode="json"), work)
