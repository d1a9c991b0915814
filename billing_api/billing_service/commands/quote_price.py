"""What a product would cost a customer now: the code of the first invoice without the write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import Account
from billing_api.billing_service.offers import CustomerSnapshot, Offer, decide_offer, find_price


@dataclass(frozen=True, slots=True)
class Quoted:
    """``queries.quote_view(offer)`` is its QuoteView."""

    offer: Offer


def quote_price(
    customer: CustomerSnapshot,
    *,
    product_id: UUID,
    price_id: UUID | None = None,
    promo_code: str | None = None,
    now: datetime,
) -> Quoted:
    """Writes nothing, locks nothing.

    Raises ``catalog-catching-up``, ``product-not-found``, ``promo-code-*``.
    """
    with atomic():
        account = Account.objects.filter(user_id=customer.user_id).first()
        product, found = find_price(product_id, price_id, now)
        return Quoted(decide_offer(account, customer, product, found, promo_code, now))
