"""A fixed price per unit and full period in place of the list price; never dearer than it."""

from __future__ import annotations

from fractions import Fraction

from billing_api.billing_service.domain.discounts.base import Discount, LineTerms, Phase


class FixedPrice:
    """A prorated line is prorated at the fixed price too."""

    name = "fixed_price"
    value_name = "price_minor"
    phase = Phase.PRICE
    keeps_minimum = True
    limits_itself = False

    def check(self, value: int) -> None:
        if value < 0:
            raise ValueError("a fixed price is not negative")

    def is_spent(self, discount: Discount) -> bool:
        return False

    def days_taken(self, value: int, days_used: int, line: LineTerms) -> int:
        return 0

    def amount_off(self, value: int, days_used: int, line: LineTerms, running_minor: Fraction) -> Fraction:
        return max(Fraction(0), running_minor - value * line.quantity * line.share)
