"""Prices a sale with the discounts and the balance of an account: for quotes and invoices alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from billing_api.billing_service import discount_rules, spare_balance
from billing_api.billing_service.domain.discounts.base import Discount
from billing_api.billing_service.domain.pricing import LineInput, Quote, price_quote
from billing_api.billing_service.models import Account, PromoCode
from billing_api.billing_service.vat_rates import vat_table


@dataclass(frozen=True, slots=True)
class Sale:
    """What is to be priced: lines, whose account (None: nobody's yet), on which ``day`` of its zone."""

    account: Account | None
    subscription_id: UUID | None
    promo_code: PromoCode | None
    currency: str
    lines: tuple[LineInput, ...]
    day: date
    takes_discounts: bool = True


def price(sale: Sale, now: datetime, without: frozenset[UUID] = frozenset()) -> Quote:
    """The quote of a sale, ``without`` some promotions. The same call decides and previews."""
    discounts = (
        discount_rules.load(sale.account, sale.subscription_id, sale.promo_code, now)
        if sale.takes_discounts
        else []
    )
    return price_quote(
        sale.lines,
        currency=sale.currency,
        now=now,
        day=sale.day,
        discounts=[one for one in discounts if UUID(one.id) not in without],
        available_balance_minor=spare_balance.available_minor(sale.account, sale.currency),
        vat=vat_table(),
    )


def price_next(
    sale: Sale, quote: Quote | None, now: datetime, at: datetime, lines: Sequence[LineInput]
) -> int:
    """The total of the invoice after this one, minor units, if nothing changes until then."""
    taken = {one.discount_id: one for one in quote.discounts} if quote else {}
    discounts: list[Discount] = []
    for one in discount_rules.load(sale.account, sale.subscription_id, sale.promo_code, now, taken):
        used = taken.get(one.id)
        left = one.budget_left_minor
        discounts.append(
            replace(
                one,
                invoices_used=one.invoices_used + 1,
                days_used=one.days_used + used.days_taken,
                started_on=one.started_on or sale.day,
                budget_left_minor=None if left is None else left - used.amount_minor,
            )
            if used
            else one
        )
    day = lines[0].period.start if lines[0].period else sale.day
    return price_quote(
        lines, currency=sale.currency, now=at, day=day, discounts=discounts, vat=vat_table()
    ).total_minor
