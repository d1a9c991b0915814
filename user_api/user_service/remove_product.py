"""Removes a one-time product from a user's products: its rights end, no money moves."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from shared.errors import conflict, not_found
from user_api.user_service.access import source_of
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import UserProduct
from user_api.user_service.rights_store import lock_version, replace_rights


async def remove_product(commerce: Commerce, user_id: UUID, user_product_id: UUID) -> None:
    """Repeatable. Raises ``product-not-found`` and ``subscription-must-be-cancelled`` (409)."""
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
