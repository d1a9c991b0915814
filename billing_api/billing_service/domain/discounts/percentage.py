"""A percentage of what the line stands at, in basis points."""

from __future__ import annotations

from fractions import Fraction

from billing_api.billing_service.domain.discounts.base import Discount, LineTerms, Phase
from shared.money import BASIS_POINTS


class Percentage:
    """Two of 10 % in sequence take 19 %: the second works on what the first left."""

    name = "percentage"
    value_name = "rate_bp"
    phase = Phase.RELATIVE
    keeps_minimum = True
    limits_itself = False

    def check(self, value: int) -> None:
        if not 1 <= value <= BASIS_POINTS:
            raise ValueError("a percentage is 1 to 10000 basis points")

    def is_spent(self, discount: Discount) -> bool:
        return False

    def days_taken(self, value: int, days_used: int, line: LineTerms) -> int:
        return 0

    def amount_off(self, value: int, days_used: int, line: LineTerms, running_minor: Fraction) -> Fraction:
        return running_minor * value / BASIS_POINTS
