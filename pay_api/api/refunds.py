"""Route of refunds for services."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from pay_api.api.deps import EdgeDep, KeyHeader, ServiceDep, run_keyed
from pay_api.api.payments import load_view
from pay_api.api.schemas import PaymentView, RefundBody, json_of
from pay_api.pay_service.refund_payment import RefundPayment, refund_payment
from shared.asgi import problem_responses

router = APIRouter(tags=["refunds"])


@router.post(
    "/v1/payments/{payment_id}/refunds",
    status_code=201,
    response_model=PaymentView,
    responses=problem_responses(401, 404, 409),
)
async def refund(
    request: Request,
    payment_id: UUID,
    body: RefundBody,
    edge: EdgeDep,
    caller: ServiceDep,
    key: KeyHeader = None,
) -> Response:
    """Sends money back; all refunds together never exceed what was captured."""

    async def work() -> tuple[int, Any]:
        command = RefundPayment(payment_id, body.refund_order_id, body.amount, body.reason, caller.name)
        await refund_payment(edge.ctx, command)
        return 201, json_of(await load_view(edge, payment_id))

    return await run_keyed(request, edge, caller, key, body.model_dump(mode="json"), work)
