"""Routes of saved payment methods: masked data only."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from pay_api import repository
from pay_api.api.deps import EdgeDep, KeyHeader, ServiceDep, run_keyed
from pay_api.api.payments import load_view, read_cursor
from pay_api.api.schemas import (
    AddMethodBody,
    ErasureBody,
    ErasureView,
    PaymentMethodList,
    PaymentView,
    json_of,
    view_method,
)
from pay_api.pay_service.add_method import AddMethod, add_method
from pay_api.pay_service.detach_method import detach_method
from pay_api.pay_service.erase_customer import erase_customer
from pay_api.vault import Payer
from shared.asgi import problem_responses
from shared.errors import forbidden
from shared.pagination import DEFAULT_LIMIT, MAX_LIMIT, page

router = APIRouter(tags=["payment methods"])


@router.get(
    "/v1/customers/{user_id}/payment-methods",
    response_model=PaymentMethodList,
    responses=problem_responses(401),
)
async def list_(
    user_id: UUID,
    edge: EdgeDep,
    caller: ServiceDep,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
) -> PaymentMethodList:
    """The user's active methods, oldest first."""
    after = read_cursor(cursor) if cursor else None
    async with edge.ctx.sessions() as session:
        found = await repository.active_methods(session, user_id, after=after, limit=limit)
    shown, next_cursor = page(found, limit, lambda row: (row.created_at.isoformat(), str(row.id)))
    return PaymentMethodList(items=[view_method(method) for method in shown], next_cursor=next_cursor)


@router.post(
    "/v1/customers/{user_id}/payment-methods",
    status_code=201,
    response_model=PaymentView,
    responses=problem_responses(401, 409),
)
async def add(
    request: Request,
    user_id: UUID,
    body: AddMethodBody,
    edge: EdgeDep,
    caller: ServiceDep,
    key: KeyHeader = None,
) -> Response:
    """Saves a card without a purchase: 1.00 RUB is held and given back. The answer is that payment."""

    async def work() -> tuple[int, Any]:
        ip = str(body.payer.ip) if body.payer.ip else None
        command = AddMethod(
            payment_id=body.payment_id,
            user_id=user_id,
            card_cryptogram=body.card_cryptogram,
            payer=Payer(body.payer.email, ip, body.cardholder_name),
            locale=body.payer.locale,
            return_url=body.return_url,
            caller=caller.name,
        )
        await add_method(edge.ctx, command)
        return 201, json_of(await load_view(edge, body.payment_id))

    return await run_keyed(request, edge, caller, key, body.model_dump(mode="json"), work)


@router.post(
    "/v1/customers/{user_id}/erasure",
    response_model=ErasureView,
    responses=problem_responses(401, 403, 409),
)
async def erase(
    request: Request,
    user_id: UUID,
    body: ErasureBody,
    edge: EdgeDep,
    caller: ServiceDep,
    key: KeyHeader = None,
) -> Response:
    """Forgets who the customer was: saved cards, contacts of payments. The payments themselves stay.

    409 `payment-in-progress` while money of theirs moves.
    """
    if caller.name not in ("user-api", "operator"):
        raise forbidden()

    async def work() -> tuple[int, Any]:
        erased_at = await erase_customer(edge.ctx, user_id)
        return 200, {"user_id": str(user_id), "erased_at": erased_at.isoformat()}

    return await run_keyed(request, edge, caller, key, body.model_dump(mode="json"), work)


@router.delete(
    "/v1/customers/{user_id}/payment-methods/{method_id}",
    status_code=204,
    responses=problem_responses(401, 404, 409),
)
async def detach(user_id: UUID, method_id: UUID, edge: EdgeDep, caller: ServiceDep) -> None:
    """Ends every later use of the method, queued charges included."""
    await detach_method(edge.ctx, user_id, method_id)
