"""Which discount kinds exist: one line per kind."""

from __future__ import annotations

from typing import Final

from billing_api.billing_service.domain.discounts.base import DiscountKind
from billing_api.billing_service.domain.discounts.fixed_amount import FixedAmount
from billing_api.billing_service.domain.discounts.fixed_price import FixedPrice
from billing_api.billing_service.domain.discounts.free_days import FreeDays
from billing_api.billing_service.domain.discounts.free_periods import FreePeriods
from billing_api.billing_service.domain.discounts.percentage import Percentage

_KINDS: Final[tuple[DiscountKind, ...]] = (
    Percentage(),
    FixedAmount(),
    FixedPrice(),
    FreePeriods(),
    FreeDays(),
)

KINDS: Final[dict[str, DiscountKind]] = {kind.name: kind for kind in _KINDS}


def kind_named(name: str) -> DiscountKind:
    """The kind stored under ``name``; ValueError for one this version does not know."""
    try:
        return KINDS[name]
    except KeyError:
        raise ValueError(f"unknown discount kind {name!r}") from None
