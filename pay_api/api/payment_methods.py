"""Routes of saved payment methods: masked data only."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from pay_api import repository
from pay_api.api.deps import EdgeDep, ServiceDep
from pay_api.api.schemas import PaymentMethodList, view_method
from pay_api.pay_service.detach_method import detach_method
from shared.asgi import problem_responses

router = APIRouter(tags=["payment methods"])


@router.get(
    "/v1/customers/{user_id}/payment-methods",
    response_model=PaymentMethodList,
    responses=problem_responses(401),
)
async def list_(user_id: UUID, edge: EdgeDep, caller: ServiceDep) -> PaymentMethodList:
    """The user's active methods, oldest first."""
    async with edge.ctx.sessions() as session:
        methods = await repository.active_methods(session, user_id)
    return PaymentMethodList(items=[view_method(method) for method in methods])


@router.delete(
    "/v1/customers/{user_id}/payment-methods/{method_id}",
    status_code=204,
    responses=problem_responses(401, 404, 409),
)
async def detach(user_id: UUID, method_id: UUID, edge: EdgeDep, caller: ServiceDep) -> None:
    """Ends every later use of the method, queued charges included."""
    await detach_method(edge.ctx, user_id, method_id)
