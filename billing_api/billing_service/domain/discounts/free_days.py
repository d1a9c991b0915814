"""A number of free days: the line loses the price of as many of its charged days as are left."""

from __future__ import annotations

from fractions import Fraction

from billing_api.billing_service.domain.discounts.base import Discount, LineTerms, Phase


class FreeDays:
    """Days that do not fit into one period pass to the next invoice (``Discount.days_used``)."""

    name = "free_days"
    value_name = "days"
    phase = Phase.PRICE
    keeps_minimum = False
    limits_itself = True

    def check(self, value: int) -> None:
        if value < 1:
            raise ValueError("at least one day must be free")

    def is_spent(self, discount: Discount) -> bool:
        return discount.days_used >= discount.value

    def days_taken(self, value: int, days_used: int, line: LineTerms) -> int:
        return min(max(0, value - days_used), line.charged_days or 0)

    def amount_off(self, value: int, days_used: int, line: LineTerms, running_minor: Fraction) -> Fraction:
        if not line.charged_days:
            return Fraction(0)
        return running_minor * self.days_taken(value, days_used, line) / line.charged_days
