"""Money as integers: the only arithmetic on amounts in the suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

from pydantic import ConfigDict, Strict

# ISO 4217 codes the suite accepts, with the number of digits after the point (minor unit exponent).
EXPONENTS: Final[dict[str, int]] = {"RUB": 2, "USD": 2, "EUR": 2, "KZT": 2, "GEL": 2, "AMD": 2, "UZS": 2}
BASIS_POINTS: Final = 10_000
MAX_AMOUNT_MINOR: Final = 10**13  # 100 billion units: beyond any invoice, well inside a Postgres bigint


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies met in one operation."""


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in minor units (kopecks for RUB) of one ISO 4217 currency. May be negative.

    JSON form: ``{"amount": 49900, "currency": "RUB"}``. Used as a pydantic field it is validated
    strictly: a float, a numeric string or an unknown currency is refused.
    """

    amount: Annotated[int, Strict()]
    currency: Annotated[str, Strict()] = "RUB"

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        if type(self.amount) is not int:
            raise ValueError("amount must be an integer number of minor units")
        if abs(self.amount) > MAX_AMOUNT_MINOR:
            raise ValueError("amount is out of range")
        if self.currency not in EXPONENTS:
            raise ValueError("currency must be one of: " + ", ".join(EXPONENTS))

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency}")
        return other.amount

    def __add__(self, other: Money) -> Money:
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.amount > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.amount >= self._same(other)

    def as_json(self) -> dict[str, Any]:
        return {"amount": self.amount, "currency": self.currency}

    def as_decimal_text(self) -> str:
        """The amount in major units with a point, exact digits: ``499.00``."""
        return minor_to_decimal_text(self.amount, self.currency)


def minor_to_decimal_text(amount_minor: int, currency: str = "RUB") -> str:
    """Minor units to a decimal text of major units (``-50`` RUB is ``-0.50``)."""
    exponent = EXPONENTS[currency]
    sign = "-" if amount_minor < 0 else ""
    whole, rest = divmod(abs(amount_minor), 10**exponent)
    return f"{sign}{whole}.{rest:0{exponent}d}" if exponent else f"{sign}{whole}"


def decimal_text_to_minor(text: str, currency: str = "RUB") -> int:
    """A decimal text of major units to minor units, exactly.

    Raises ValueError for anything but digits with at most the currency's number of decimals.
    """
    exponent = EXPONENTS[currency]
    sign = -1 if text.startswith("-") else 1
    whole, _, rest = text.removeprefix("-").partition(".")
    digits = whole + rest
    if not digits.isascii() or not digits.isdigit() or not whole or (("." in text) and not rest):
        raise ValueError("not a decimal amount")
    significant = rest.rstrip("0")
    if len(significant) > exponent:
        raise ValueError("more decimals than the currency has")
    return sign * (int(whole) * int(10**exponent) + int(significant.ljust(exponent, "0") or "0"))


def divide_half_up(numerator: int, denominator: int) -> int:
    """Integer division rounded half away from zero; denominator > 0."""
    if denominator <= 0:
        raise ValueError("denominator must be positive")
    quotient, remainder = divmod(abs(numerator), denominator)
    rounded = quotient + (1 if 2 * remainder >= denominator else 0)
    return rounded if numerator >= 0 else -rounded


def percent_of(amount_minor: int, rate_bp: int) -> int:
    """``rate_bp`` basis points of an amount in minor units, rounded half up (domain rule: once per line).

    29 % of 0.50 is 0.15 (binary floats give 0.14).
    """
    return divide_half_up(amount_minor * rate_bp, BASIS_POINTS)


def vat_included(gross_minor: int, rate_bp: int) -> int:
    """The VAT inside a VAT-inclusive amount: ``gross * rate / (100 % + rate)``, half up, minor units."""
    return divide_half_up(gross_minor * rate_bp, BASIS_POINTS + rate_bp)


def allocate(total_minor: int, weights: Sequence[int]) -> list[int]:
    """Split an amount by weights so that the parts add up exactly (largest remainder; ties: earlier first).

    Weights are non-negative; when all are zero the first part takes everything. Minor units in and out.
    """
    if not weights:
        raise ValueError("nothing to split over")
    if any(weight < 0 for weight in weights):
        raise ValueError("weights must not be negative")
    whole = sum(weights)
    if whole == 0:
        return [total_minor] + [0] * (len(weights) - 1)
    sign = -1 if total_minor < 0 else 1
    shares = [divmod(abs(total_minor) * weight, whole) for weight in weights]
    parts = [quotient for quotient, _ in shares]
    left = abs(total_minor) - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda index: (-shares[index][1], index))
    for index in by_remainder[:left]:
        parts[index] += 1
    return [sign * part for part in parts]
