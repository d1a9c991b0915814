"""Removes a one-time product from a user's products: its rights end, no money moves."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from shared import logs
from shared.errors import AppError, Kind, conflict, not_found
from shared.ids import derived_id
from user_api.user_service.access import source_of
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import UserProduct
from user_api.user_service.rights_store import lock_version, replace_rights

log = logs.logger(__name__)


async def remove_product(commerce: Commerce, user_id: UUID, user_product_id: UUID) -> None:
    """Repeatable. Raises ``product-not-found`` and ``subscription-must-be-cancelled`` (409).

    The rights end with the commit. BillingAPI then ends the purchase, so that the product may be bought
    again; when it cannot be told now, user-worker tells it.
    """
    now = commerce.clock.now()
    async with commerce.sessions.begin() as session:
        version = await lock_version(session, user_id, now)
        held = await session.scalar(
            select(UserProduct).where(UserProduct.id == user_product_id, UserProduct.user_id == user_id)
        )
        if held is None:
            raise not_found("product")
        if held.kind != "one_time":
            raise conflict(
                "subscription-must-be-cancelled",
                f"A subscription is cancelled: POST /v1/me/subscriptions/{held.id}/cancel.",
                subscription_id=str(held.id),
            )
        if held.removed_at is None:
            held.removed_at = now
            await replace_rights(session, version, {source_of(held.id): frozenset()}, now)
    try:
        await end_purchase(commerce, user_product_id)
    except AppError as error:
        log.info("removal-left-to-the-worker", purchase_id=str(user_product_id), code=error.code)


async def end_purchase(commerce: Commerce, purchase_id: UUID) -> None:
    """Has BillingAPI end a removed purchase, without a refund. Repeatable; raises NoAnswer and refusals."""
    key = derived_id(purchase_id, "removed")
    try:
        await commerce.billing_api.command_subscription(purchase_id, "cancel", {"mode": "now"}, key)
    except AppError as error:
        if error.kind is not Kind.NOT_FOUND and error.code != "subscription-transition-refused":
            raise  # the rest: unknown there, or over already
