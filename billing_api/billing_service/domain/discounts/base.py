"""What a discount is: its terms, its duration, and what every kind must be able to answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import Protocol

from shared.period import Interval, IntervalUnit, boundary


class Source(StrEnum):
    """Where a discount comes from, in the order in which sources are applied (domain rule 2)."""

    PROMOTION = "promotion"
    PERSONAL = "personal"
    PROMO_CODE = "promo_code"


class Phase(IntEnum):
    """Which kinds go first: those that set the price, then percentages, then fixed amounts."""

    PRICE = 0
    RELATIVE = 1
    ABSOLUTE = 2


class DurationKind(StrEnum):
    """For how long a discount keeps working once it was given."""

    ONCE = "once"
    REPEATING_INVOICES = "repeating_invoices"
    REPEATING_MONTHS = "repeating_months"
    FOREVER = "forever"


@dataclass(frozen=True, slots=True)
class Duration:
    """``count`` invoices or months for the repeating kinds, ignored by the others."""

    kind: DurationKind = DurationKind.ONCE
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError("a duration needs a positive count")

    def is_running(self, *, started_on: date | None, invoices_used: int, day: date) -> bool:
        """Whether an invoice opened on ``day`` (account zone) still gets the discount.

        ``started_on`` is the day of its first use (None before it); ``invoices_used`` counts the earlier
        invoices that had it.
        """
        match self.kind:
            case DurationKind.ONCE:
                return invoices_used < 1
            case DurationKind.REPEATING_INVOICES:
                return invoices_used < self.count
            case DurationKind.REPEATING_MONTHS:
                month = Interval(IntervalUnit.MONTH)
                return started_on is None or day < boundary(started_on, month, self.count)
            case DurationKind.FOREVER:
                return True


@dataclass(frozen=True, slots=True)
class Discount:
    """One discount rule together with how much of it was used.

    ``value`` is in the unit its kind declares (``DiscountKind.value_name``): basis points, minor units of
    ``currency``, days or periods. ``product_ids`` empty means every product. ``window_*_at`` are UTC moments,
    half-open, None for no limit. ``budget_left_minor`` is what a promotion may still give away. ``days_used``
    is how many free days earlier invoices took.
    """

    id: str
    kind: str
    source: Source
    value: int
    currency: str
    created_at: datetime
    priority: int = 0
    exclusive: bool = False
    product_ids: frozenset[str] = field(default_factory=frozenset)
    duration: Duration = Duration()
    started_on: date | None = None
    invoices_used: int = 0
    days_used: int = 0
    window_starts_at: datetime | None = None
    window_ends_at: datetime | None = None
    budget_left_minor: int | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if self.created_at.tzinfo is None:
            raise ValueError("created_at must be a moment with a zone")
        if self.invoices_used < 0 or self.days_used < 0:
            raise ValueError("uses are not negative")


@dataclass(frozen=True, slots=True)
class LineTerms:
    """What a kind may know of a line: its full-period base and how many days of the period are charged.

    ``base_minor`` is the line's amount before discounts, proration and quantity included.
    ``charged_days`` and ``period_days`` are None for a line without a period; they are equal
    when the line is not prorated.
    """

    base_minor: int
    quantity: int = 1
    charged_days: int | None = None
    period_days: int | None = None

    @property
    def share(self) -> Fraction:
        """The charged part of the period, 1 for a whole one."""
        if self.charged_days is None or self.period_days is None:
            return Fraction(1)
        return Fraction(self.charged_days, self.period_days)


class DiscountKind(Protocol):
    """The stateless translation of a rule into money. ``name`` is what the database and the API store."""

    @property
    def name(self) -> str: ...

    @property
    def value_name(self) -> str:
        """The name, with its unit, under which ``Discount.value`` stands in an explanation."""
        ...

    @property
    def phase(self) -> Phase: ...

    @property
    def keeps_minimum(self) -> bool:
        """False for kinds that promise a free line: the configured minimum does not bind them."""
        ...

    @property
    def limits_itself(self) -> bool:
        """True for kinds whose value says how long they last: their duration is not asked."""
        ...

    def check(self, value: int) -> None:
        """Raise ValueError for a value outside the kind's range."""
        ...

    def is_spent(self, discount: Discount) -> bool:
        """Whether the kind's own allowance is used up (the duration is checked apart)."""
        ...

    def days_taken(self, value: int, days_used: int, line: LineTerms) -> int:
        """How many free days the line takes; 0 for kinds that do not count days."""
        ...

    def amount_off(self, value: int, days_used: int, line: LineTerms, running_minor: Fraction) -> Fraction:
        """The exact reduction of a line that stands at ``running_minor``, in minor units, unrounded.

        Kinds of phase ABSOLUTE give the whole amount; the caller splits it over the lines.
        """
        ...
