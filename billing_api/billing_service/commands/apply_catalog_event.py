"""Keeps the products and prices that AdminPanel publishes; the newest version wins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service.database import atomic
from billing_api.billing_service.dunning_plan import policy_of
from billing_api.billing_service.models import Price, Product
from billing_api.billing_service.prices import effective_minor
from shared.errors import invalid
from shared.queue.messages.catalog import PriceState, ProductState


@dataclass(frozen=True, slots=True)
class CatalogApplied:
    product_id: UUID
    is_newer: bool


def apply_catalog_event(state: ProductState, *, sequence: int, now: datetime) -> CatalogApplied:
    """Stores the product whole. Running subscriptions keep the terms they were started with.

    Raises ``dunning-policy-invalid`` and ``price-currency-changed``: the event is parked, nothing is stored.
    """
    policy_of(state.dunning_policy)  # one that makes no sense is refused here, not when a payment fails
    with atomic():
        Product.objects.bulk_create([_product(state, sequence=0)], ignore_conflicts=True)
        held = Product.objects.select_for_update(no_key=True).get(id=state.product_id)
        if held.sequence >= sequence:
            return CatalogApplied(held.id, False)
        _product(state, sequence).save(using="billing", force_update=True)
        for price in state.prices:
            _store_price(state.product_id, price, now)
        # A price that is no longer listed is not for sale any more; subscriptions may still refer to it.
        listed = [price.price_id for price in state.prices]
        Price.objects.filter(product_id=state.product_id).exclude(id__in=listed).update(
            is_active=False, is_default=False
        )
        return CatalogApplied(state.product_id, True)


def _product(state: ProductState, sequence: int) -> Product:
    return Product(
        id=state.product_id,
        sequence=sequence,
        slug=state.slug,
        kind=state.kind,
        product_group=state.group,
        title=state.title.model_dump(),
        grants=state.grants,
        reduced_grants=state.reduced_grants,
        grace_days=state.grace_days,
        trial_needs_method=state.trial_needs_method,
        trial_without_method=state.trial_without_method,
        refund_window_days=state.refund_window_days,
        rank=state.rank,
        change_policy=state.change_policy,
        dunning_policy=state.dunning_policy,
        status=state.status,
        updated_at=state.updated_at,
    )


def _store_price(product_id: UUID, price: PriceState, now: datetime) -> None:
    """An amount whose date is ahead waits beside the one that holds until then."""
    held = Price.objects.filter(id=price.price_id).first()
    if held is not None and held.currency != price.amount.currency:
        # Agreed amounts and announced ones are figures of one currency: another one is another price.
        raise invalid("price-currency-changed", "A published price keeps its currency; make a new price.")
    amount, upcoming = price.amount.amount, price.next_amount.amount if price.next_amount else None
    # An older catalogue sent the newest amount alone: what held before is known from the row.
    if upcoming is None and held is not None and price.valid_from is not None and price.valid_from > now:
        holds = effective_minor(held, now)
        if amount != holds:
            amount, upcoming = holds, amount
    Price.objects.update_or_create(
        id=price.price_id,
        defaults={
            "product_id": product_id,
            "amount_minor": amount,
            "next_amount_minor": upcoming,
            "minimum_minor": price.minimum.amount if price.minimum else None,
            "currency": price.amount.currency,
            "interval_unit": price.interval_unit.value if price.interval_unit else None,
            "interval_count": price.interval_count,
            "term_periods": price.term_periods,
            "trial_days": price.trial_days,
            "access_days": price.access_days,
            "is_default": price.is_default,
            "is_active": price.is_active,
            "valid_from_at": price.valid_from,
        },
    )
