"""Change of product: what the unused days are worth, what the new product costs, and when it takes effect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from billing_api.billing_service.domain.pricing import LineInput, LineKind
from shared.errors import invalid
from shared.money import divide_half_up
from shared.period import Interval, IntervalUnit, Period, period_at, start_of_day


class ChangeTiming(StrEnum):
    """When a change of product takes effect."""

    NOW = "now"
    AT_PERIOD_END = "at_period_end"


@dataclass(frozen=True, slots=True)
class ChangePolicy:
    """Configurable per product; the defaults are domain rule 3."""

    dearer: ChangeTiming = ChangeTiming.NOW
    cheaper: ChangeTiming = ChangeTiming.AT_PERIOD_END


@dataclass(frozen=True, slots=True)
class PaidDays:
    """A run of days that one invoice line paid for: ``amount_minor`` is net of discounts and credits.

    After an earlier change it is the tail that the change's charge line covers, not the whole period.
    """

    product_id: str
    period: Period
    amount_minor: int
    vat_rate_bp: int


@dataclass(frozen=True, slots=True)
class NewPrice:
    """The price of the product changed to, per ``interval``, minor units."""

    product_id: str
    price_id: str
    amount_minor: int
    interval: Interval
    minimum_minor: int = 0


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """Lines to price (charge first, then the credit), and what the subscription becomes when they are paid.

    ``period`` is the current one for the same interval; a new one from ``anchor_on`` for another.
    """

    effective_on: date
    lines: tuple[LineInput, ...]
    anchor_on: date
    interval: Interval
    period: Period
    moves_anchor: bool


# Nominal length in ten-thousandths of a day (a year of 365.25): only to tell dearer from cheaper.
_NOMINAL: Final = {
    IntervalUnit.DAY: 10_000,
    IntervalUnit.WEEK: 70_000,
    IntervalUnit.MONTH: 304_375,
    IntervalUnit.QUARTER: 913_125,
    IntervalUnit.HALF_YEAR: 1_826_250,
    IntervalUnit.YEAR: 3_652_500,
}


def timing(
    *,
    current_minor: int,
    current_interval: Interval,
    new: NewPrice,
    trialing: bool,
    policy: ChangePolicy = ChangePolicy(),
) -> ChangeTiming:
    """When the change takes effect: list prices per day are compared; an equal one counts as dearer.

    During a trial it is immediate.
    """
    if trialing:
        return ChangeTiming.NOW
    current = current_minor * _nominal(new.interval)
    other = new.amount_minor * _nominal(current_interval)
    return policy.dearer if other >= current else policy.cheaper


def _nominal(interval: Interval) -> int:
    return _NOMINAL[interval.unit] * interval.count


def unused_days(period: Period, day: date) -> int:
    """Whole days of the period from ``day`` on; ``day`` itself belongs to what comes next."""
    return max(0, (period.end - max(day, period.start)).days)


def unused_credit_minor(paid: PaidDays, day: date) -> int:
    """What the unused days of a paid run are worth, half up, minor units."""
    return divide_half_up(paid.amount_minor * unused_days(paid.period, day), paid.period.days)


def plan_change(
    *,
    effective_on: date,
    anchor_on: date,
    current_interval: Interval,
    current_period: Period,
    paid: PaidDays,
    new: NewPrice,
) -> ChangePlan:
    """The lines of an immediate change (domain rule 3).

    Same interval: the anchor stays; the new price for the remaining days of the period, less the credit for
    the same days. Other interval: the day of change is the anchor; a full period less the credit.
    Raises invalid ``change-outside-period`` for a day that is not in the current period.
    """
    if effective_on not in current_period:
        raise invalid("change-outside-period", "The change must lie within the current period.")
    same = new.interval == current_interval
    period = current_period if same else period_at(effective_on, new.interval, 0)
    charge = LineInput(
        key="charge",
        product_id=new.product_id,
        price_id=new.price_id,
        unit_minor=new.amount_minor,
        period=period,
        charged_days=unused_days(current_period, effective_on) if same else None,
        minimum_minor=new.minimum_minor,
    )
    credit = LineInput(
        key="credit",
        kind=LineKind.CREDIT,
        product_id=paid.product_id,
        unit_minor=paid.amount_minor,
        period=paid.period,
        charged_days=unused_days(paid.period, effective_on),
        vat_rate_bp=paid.vat_rate_bp,
    )
    lines = (charge, credit) if paid.amount_minor > 0 and credit.charged_days else (charge,)
    anchor = anchor_on if same else effective_on
    return ChangePlan(effective_on, lines, anchor, new.interval, period, moves_anchor=not same)


def pending_change_lapses_at(*, effective_on: date, next_boundary_on: date, time_zone: str) -> datetime:
    """UTC moment at which an unpaid change is closed: the end of its day or, if earlier, the boundary."""
    return start_of_day(min(effective_on + timedelta(days=1), next_boundary_on), time_zone)
