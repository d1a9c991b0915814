"""Which discounts an invoice gets and in which order: the only place that decides it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from fractions import Fraction
from math import ceil
from typing import Final

from billing_api.billing_service.domain.discounts.base import Discount, Source
from billing_api.billing_service.domain.discounts.registry import kind_named

_SOURCE_ORDER: Final = {Source.PROMOTION: 0, Source.PERSONAL: 1, Source.PROMO_CODE: 2}

# The exact benefit of one discount alone on the priced lines, in minor units.
BenefitOf = Callable[[Discount], Fraction]


def running(discounts: Iterable[Discount], *, currency: str, now: datetime, day: date) -> list[Discount]:
    """Those that may work on an invoice opened at ``now`` (UTC), ``day`` in the account's zone.

    Window, duration, the kind's own allowance and the currency are checked; products are checked per line.
    """
    return [discount for discount in discounts if _is_running(discount, currency, now, day)]


def _is_running(discount: Discount, currency: str, now: datetime, day: date) -> bool:
    kind = kind_named(discount.kind)
    if discount.currency != currency or kind.is_spent(discount):
        return False
    started = discount.invoices_used > 0
    # The window says when a discount may begin; once given it lasts as its duration says.
    if not started and discount.window_starts_at is not None and now < discount.window_starts_at:
        return False
    if not started and discount.window_ends_at is not None and now >= discount.window_ends_at:
        return False
    return kind.limits_itself or discount.duration.is_running(
        started_on=discount.started_on, invoices_used=discount.invoices_used, day=day
    )


def choose(discounts: Iterable[Discount], benefit_of: BenefitOf) -> list[Discount]:
    """The discounts to apply, in order of application.

    An exclusive one beats every stackable one and stands alone; among several: higher priority, then the
    larger benefit to the customer, then the older, then the smaller id (domain rule 2). Stackable ones all
    apply: kinds that set the price, percentages, fixed amounts; within a phase promotion, personal, promo
    code; within a source the same precedence. One without benefit, or whose benefit its budget cannot pay
    in full, is left out.
    """
    worth: dict[str, Fraction] = {}
    useful: list[Discount] = []
    for discount in discounts:
        benefit = benefit_of(discount)
        if benefit <= 0:
            continue
        if discount.budget_left_minor is not None and ceil(benefit) > discount.budget_left_minor:
            continue
        worth[discount.id] = benefit
        useful.append(discount)

    def precedence(discount: Discount) -> tuple[int, Fraction, datetime, str]:
        return (-discount.priority, -worth[discount.id], discount.created_at, discount.id)

    exclusive = [discount for discount in useful if discount.exclusive]
    if exclusive:
        return [min(exclusive, key=precedence)]
    return sorted(
        useful,
        key=lambda discount: (
            kind_named(discount.kind).phase,
            _SOURCE_ORDER[discount.source],
            *precedence(discount),
        ),
    )
