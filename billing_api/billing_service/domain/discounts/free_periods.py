"""A number of whole periods free of charge: the line costs nothing."""

from __future__ import annotations

from fractions import Fraction

from billing_api.billing_service.domain.discounts.base import Discount, LineTerms, Phase


class FreePeriods:
    """``value`` invoices of the subscription are free; no configured minimum binds that promise."""

    name = "free_periods"
    value_name = "periods"
    phase = Phase.PRICE
    keeps_minimum = False
    limits_itself = True

    def check(self, value: int) -> None:
        if value < 1:
            raise ValueError("at least one period must be free")

    def is_spent(self, discount: Discount) -> bool:
        return discount.invoices_used >= discount.value

    def days_taken(self, value: int, days_used: int, line: LineTerms) -> int:
        return 0

    def amount_off(self, value: int, days_used: int, line: LineTerms, running_minor: Fraction) -> Fraction:
        return running_minor
