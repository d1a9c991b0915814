"""One-time purchases of the signed-in user."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from shared.asgi import problem_responses
from shared.idempotent_route import run_once
from user_api.api.commerce_schemas import BuyBody
from user_api.api.deps import AppResources, ClientAddress, CurrentUser, IdempotencyKey, key_scope
from user_api.api.language import RequestLanguage
from user_api.api.subscriptions import bought_view, order_of
from user_api.user_service.buy_product import buy_product

router = APIRouter(prefix="/v1/me/purchases", tags=["purchases"], responses=problem_responses(401, 404, 409))


@router.post("", status_code=201, response_model=dict[str, Any])
async def post_purchase(
    request: Request,
    body: BuyBody,
    resources: AppResources,
    user: CurrentUser,
    key: IdempotencyKey,
    address: ClientAddress,
    language: RequestLanguage,
) -> Response:
    """Buys a one-time product: 201 `{purchase, invoice, payment}`, a declined payment included."""
    wish = body.wish(resources.settings.allowed_return_origins, address, language)

    async def work(row_id: UUID) -> tuple[int, Any]:
        order = order_of(body, "one_time")
        bought = await buy_product(resources.commerce, user.user_id, order, wish, row_id)
        return 201, bought_view(bought, "purchase")

    scope = key_scope(request, str(user.user_id), key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)
