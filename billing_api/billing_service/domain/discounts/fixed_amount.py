"""A fixed amount off the invoice, in minor units, split over its lines by the caller."""

from __future__ import annotations

from fractions import Fraction

from billing_api.billing_service.domain.discounts.base import Discount, LineTerms, Phase


class FixedAmount:
    """Given for a whole period: a prorated line gets the same share of it, so that changing a product back
    and forth does not earn the amount again each time."""

    name = "fixed_amount"
    value_name = "amount_minor"
    phase = Phase.ABSOLUTE
    keeps_minimum = True
    limits_itself = False

    def check(self, value: int) -> None:
        if value < 1:
            raise ValueError("a fixed amount is at least 1 minor unit")

    def is_spent(self, discount: Discount) -> bool:
        return False

    def days_taken(self, value: int, days_used: int, line: LineTerms) -> int:
        return 0

    def amount_off(self, value: int, days_used: int, line: LineTerms, running_minor: Fraction) -> Fraction:
        return value * line.share
