"""Applies BillingAPI's word on a subscription: the purchased product, its rights, its consents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.queue.messages.invoices import SubscriptionState, SubscriptionStatus
from user_api.user_service.access import Purchase, rights_of, source_of
from user_api.user_service.commerce_models import CatalogProduct, UserProduct
from user_api.user_service.consents import revoke_of_subscription
from user_api.user_service.rights_store import lock_product, lock_version, replace_rights

_OVER = (SubscriptionStatus.CANCELLED, SubscriptionStatus.EXPIRED)


async def apply_subscription_event(session: AsyncSession, state: SubscriptionState, now: datetime) -> None:
    """Stores the state as it is (``access_until`` is BillingAPI's alone) and derives the rights.

    A product not published yet gives no rights; they are derived when it comes.
    """
    await lock_product(session, state.product_id, exclusive=False)
    version = await lock_version(session, state.user_id, now)
    held = await _store(session, state)
    product = await session.get(CatalogProduct, state.product_id, populate_existing=True)
    rights = rights_of(as_purchase(held), product.grants, product.reduced_grants) if product else frozenset()
    await replace_rights(session, version, {source_of(held.id): rights}, now)
    if state.status in _OVER:
        await revoke_of_subscription(session, state.subscription_id, "subscription-ended", now)


def as_purchase(held: UserProduct) -> Purchase:
    """The pure value of a stored purchase."""
    return Purchase(
        held.id,
        held.product_id,
        held.grants_access,
        held.access_until,
        removed=held.removed_at is not None,
        reduced_until=held.reduced_until,
    )


async def _store(session: AsyncSession, state: SubscriptionState) -> UserProduct:
    values: dict[str, Any] = {
        "id": state.subscription_id,
        "user_id": state.user_id,
        "kind": state.kind,
        "product_id": state.product_id,
        "price_id": state.price_id,
        "product_group": state.product_group,
        "status": state.status.value,
        "cancel_at_period_end": state.cancel_at_period_end,
        "grants_access": state.grants_access,
        "access_until": state.access_until,
        "reduced_until": state.reduced_until,
        "current_period_start": state.current_period_start,
        "current_period_end": state.current_period_end,
        "trial_ends_at": state.trial_ends_at,
        "next_invoice_at": state.next_invoice_at,
        "latest_invoice_id": state.latest_invoice_id,
        "created_at": state.created_at,
        "updated_at": state.updated_at,
    }
    stored = (
        insert(UserProduct)
        .values(**values)
        .on_conflict_do_update(
            index_elements=[UserProduct.id],
            set_={
                name: value for name, value in values.items() if name not in ("id", "user_id", "created_at")
            },
        )
        .returning(UserProduct)
    )
    return (await session.scalars(stored, execution_options={"populate_existing": True})).one()
