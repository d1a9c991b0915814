"""Subscriptions of the signed-in user: buy, list, change, pause, cancel and back."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Request, Response

from shared.asgi import problem_responses
from shared.idempotent_route import run_once
from user_api.api.commerce_schemas import (
    BuyBody,
    CancelSubscriptionBody,
    ChangeProductBody,
    EmptyBody,
    PaymentSummary,
    saved_card,
)
from user_api.api.deps import AppResources, ClientAddress, CurrentUser, IdempotencyKey, key_scope
from user_api.api.language import RequestLanguage
from user_api.api.paging import DEFAULT_LIMIT, Cursor, Limit
from user_api.api.presence import prove_change_of_card
from user_api.user_service.buy_product import Bought, Order, buy_product
from user_api.user_service.cancel_subscription import (
    cancel_subscription,
    own_subscription,
    pause_subscription,
    reactivate_subscription,
    resume_subscription,
)
from user_api.user_service.change_product import Change, Changed, change_product, preview_change

router = APIRouter(
    prefix="/v1/me/subscriptions", tags=["subscriptions"], responses=problem_responses(401, 404)
)


def order_of(body: BuyBody, kind: str) -> Order:
    return Order(
        kind="one_time" if kind == "one_time" else "recurring",
        product_id=body.product_id,
        price_id=body.price_id,
        promo_code=body.promo_code,
        expected_amount=body.expected_amount,
    )


def bought_view(bought: Bought, name: str) -> dict[str, Any]:
    """The answer to a purchase: the payment in whatever status it has, null when nothing was due."""
    return {
        name: bought.subscription.model_dump(mode="json"),
        "invoice": bought.invoice.model_dump(mode="json") if bought.invoice else None,
        "payment": PaymentSummary.of(bought.payment) if bought.payment else None,
    }


@router.post("", status_code=201, response_model=dict[str, Any], responses=problem_responses(409))
async def post_subscription(
    request: Request,
    body: BuyBody,
    resources: AppResources,
    user: CurrentUser,
    key: IdempotencyKey,
    address: ClientAddress,
    language: RequestLanguage,
) -> Response:
    """Buys a subscription: 201 `{subscription, invoice, payment}`, a declined payment included."""
    wish = body.wish(resources.settings.allowed_return_origins, address, language)

    async def work(row_id: UUID) -> tuple[int, Any]:
        order = order_of(body, "recurring")
        bought = await buy_product(resources.commerce, user.user_id, order, wish, row_id)
        return 201, bought_view(bought, "subscription")

    scope = key_scope(request, str(user.user_id), key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)


@router.get("")
async def list_subscriptions(
    resources: AppResources, user: CurrentUser, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> dict[str, Any]:
    """The user's subscriptions and one-time purchases as BillingAPI has them."""
    params: dict[str, str | int] = {"user_id": str(user.user_id), "limit": limit}
    if cursor is not None:
        params["cursor"] = cursor
    return await resources.billing_api.list_subscriptions(params)


@router.get("/{subscription_id}")
async def get_subscription(
    subscription_id: UUID, resources: AppResources, user: CurrentUser
) -> dict[str, Any]:
    """One subscription."""
    found = await own_subscription(resources.commerce, user.user_id, subscription_id)
    return found.model_dump(mode="json")


@router.post("/{subscription_id}/cancel", response_model=dict[str, Any], responses=problem_responses(409))
async def post_cancel(
    request: Request,
    subscription_id: UUID,
    resources: AppResources,
    user: CurrentUser,
    key: IdempotencyKey,
    body: Annotated[CancelSubscriptionBody | None, Body()] = None,
) -> Response:
    """Ends a subscription at its period's end (default), or now, with or without the unused days back."""
    given = body or CancelSubscriptionBody()

    async def work(row_id: UUID) -> tuple[int, Any]:
        answer = await cancel_subscription(
            resources.commerce,
            user.user_id,
            subscription_id,
            mode=given.mode,
            refund_unused=given.refund_unused,
            request_id=row_id,
        )
        return 200, answer

    scope = key_scope(request, str(user.user_id), key, given)
    return await run_once(resources.sessions, resources.clock, scope, work)


@router.post("/{subscription_id}/reactivate", response_model=dict[str, Any], responses=problem_responses(409))
async def post_reactivate(
    request: Request,
    subscription_id: UUID,
    resources: AppResources,
    user: CurrentUser,
    key: IdempotencyKey,
    body: Annotated[EmptyBody | None, Body()] = None,
) -> Response:
    """Takes back a cancellation scheduled for the period's end."""

    async def work(row_id: UUID) -> tuple[int, Any]:
        return 200, await reactivate_subscription(resources.commerce, user.user_id, subscription_id, row_id)

    scope = key_scope(request, str(user.user_id), key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)


def changed_view(changed: Changed) -> dict[str, Any]:
    """The subscription as it stands, the change's invoice and payment (null: nothing due), its quote."""
    answer = changed.answer.model_dump(mode="json")
    answer["payment"] = PaymentSummary.of(changed.payment) if changed.payment else None
    return answer


@router.post(
    "/{subscription_id}/change-product",
    response_model=dict[str, Any],
    responses=problem_responses(403, 409, 429),
)
async def post_change_product(
    request: Request,
    subscription_id: UUID,
    body: ChangeProductBody,
    resources: AppResources,
    user: CurrentUser,
    key: IdempotencyKey,
    address: ClientAddress,
    language: RequestLanguage,
) -> Response:
    """Another product: dearer now and paid at once, cheaper at the period's end; `preview` only prices it.

    A `consent` with another card than the one agreed before needs `current_password` from the fifth minute
    after the sign-in on, as its change does.
    """
    if body.consent is not None and body.payment is not None and not body.preview:
        await prove_change_of_card(
            resources, user, subscription_id, saved_card(body.payment), body.current_password, address
        )
    wish = body.wish_of(resources.settings.allowed_return_origins, address, language)
    change = Change(body.product_id, body.price_id, body.expected_amount)
    commerce = resources.commerce

    async def work(row_id: UUID) -> tuple[int, Any]:
        if body.preview:
            seen = await preview_change(commerce, user.user_id, subscription_id, change, row_id)
            return 200, changed_view(Changed(seen, None))
        changed = await change_product(commerce, user.user_id, subscription_id, change, wish, row_id)
        return 200, changed_view(changed)

    scope = key_scope(request, str(user.user_id), key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)


@router.post("/{subscription_id}/pause", response_model=dict[str, Any], responses=problem_responses(409))
async def post_pause(
    request: Request,
    subscription_id: UUID,
    resources: AppResources,
    user: CurrentUser,
    key: IdempotencyKey,
    body: Annotated[EmptyBody | None, Body()] = None,
) -> Response:
    """Pauses: no invoices and no access until it is resumed; the paid days are kept."""

    async def work(row_id: UUID) -> tuple[int, Any]:
        return 200, await pause_subscription(resources.commerce, user.user_id, subscription_id, row_id)

    scope = key_scope(request, str(user.user_id), key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)


@router.post("/{subscription_id}/resume", response_model=dict[str, Any], responses=problem_responses(409))
async def post_resume(
    request: Request,
    subscription_id: UUID,
    resources: AppResources,
    user: CurrentUser,
    key: IdempotencyKey,
    body: Annotated[EmptyBody | None, Body()] = None,
) -> Response:
    """Resumes: the kept days run from today."""

    async def work(row_id: UUID) -> tuple[int, Any]:
        return 200, await resume_subscription(resources.commerce, user.user_id, subscription_id, row_id)

    scope = key_scope(request, str(user.user_id), key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)
