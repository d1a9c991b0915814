"""What a purchase would cost, by the same code as its invoice."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from shared.asgi import problem_responses
from user_api.api.commerce_schemas import QuoteBody
from user_api.api.deps import AppResources, CurrentUser
from user_api.user_service.customer import load_customer

router = APIRouter(prefix="/v1/quotes", tags=["quotes"], responses=problem_responses(401, 404, 409))


@router.post("")
async def post_quote(body: QuoteBody, resources: AppResources, user: CurrentUser) -> dict[str, Any]:
    """The price with discounts, VAT and balance, line by line; nothing is written."""
    customer = await load_customer(resources.sessions, user.user_id)
    wanted = body.model_dump(mode="json", exclude_none=True)
    return await resources.billing_api.quote({"customer": customer.as_json()} | wanted)
