"""Route that closes the payments of an invoice."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from pay_api.api.deps import EdgeDep, KeyHeader, ServiceDep, run_keyed
from pay_api.api.schemas import ClosingView, json_of
from pay_api.pay_service.close_invoice import close_invoice
from shared.asgi import problem_responses

router = APIRouter(tags=["invoices"])


@router.post(
    "/v1/invoices/{invoice_id}/close", response_model=ClosingView, responses=problem_responses(401, 409)
)
async def close(
    request: Request, invoice_id: UUID, edge: EdgeDep, caller: ServiceDep, key: KeyHeader = None
) -> Response:
    """``closed``: no money of this invoice can move any more. Otherwise its payment's event decides."""

    async def work() -> tuple[int, Any]:
        result = await close_invoice(edge.ctx, invoice_id, caller.name)
        return 200, json_of(ClosingView(invoice_id=invoice_id, result=result.value))

    return await run_keyed(request, edge, caller, key, {}, work)
