"""VAT rates by the day they came into force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final


@dataclass(frozen=True, slots=True)
class VatTable:
    """``(first day, rate in basis points)`` pairs in rising order of days; prices include VAT."""

    rates: tuple[tuple[date, int], ...]

    def __post_init__(self) -> None:
        days = [first_day for first_day, _ in self.rates]
        if not days or days != sorted(set(days)):
            raise ValueError("VAT rates need distinct first days in rising order")
        if any(rate_bp < 0 for _, rate_bp in self.rates):
            raise ValueError("a VAT rate is not negative")

    def rate_on(self, day: date) -> int:
        """The rate in force on a day of the account's zone; ValueError before the first one."""
        in_force = [rate_bp for first_day, rate_bp in self.rates if first_day <= day]
        if not in_force:
            raise ValueError(f"no VAT rate is configured for {day}")
        return in_force[-1]


# The shipped default of the setting VAT_RATES.
# Tax Code of the Russian Federation, art. 164: 20 % until 31 Dec 2025, 22 % from 1 Jan 2026.
RUSSIAN_VAT: Final = VatTable(((date(2019, 1, 1), 2_000), (date(2026, 1, 1), 2_200)))
