"""Billing periods: boundaries counted from the anchor, never from a clamped date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta


class IntervalUnit(StrEnum):
    """Units of a billing interval."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"


_MONTHS = {IntervalUnit.MONTH: 1, IntervalUnit.QUARTER: 3, IntervalUnit.HALF_YEAR: 6, IntervalUnit.YEAR: 12}
_DAYS = {IntervalUnit.DAY: 1, IntervalUnit.WEEK: 7}


@dataclass(frozen=True, slots=True)
class Interval:
    """``count`` units; count is at least 1."""

    unit: IntervalUnit
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError("an interval needs a positive count")


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open ``[start, end)`` of dates in the account's time zone."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("a period must end after it starts")

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end


def boundary(anchor: date, interval: Interval, number: int) -> date:
    """Start of period ``number`` (0 is the anchor itself), clamped to the month's length.

    Computed from the anchor each time: 31 Jan gives 28 Feb, then 31 Mar again.
    """
    if interval.unit in _DAYS:
        return anchor + timedelta(days=_DAYS[interval.unit] * interval.count * number)
    return anchor + relativedelta(months=_MONTHS[interval.unit] * interval.count * number)


def period_at(anchor: date, interval: Interval, number: int) -> Period:
    """Period ``number`` counted from the anchor; periods tile without gap or overlap."""
    return Period(boundary(anchor, interval, number), boundary(anchor, interval, number + 1))


def day_in_zone(moment: datetime, time_zone: str) -> date:
    """The calendar day of a UTC moment in an IANA time zone."""
    return moment.astimezone(ZoneInfo(time_zone)).date()


def start_of_day(day: date, time_zone: str) -> datetime:
    """The UTC moment at which a calendar day begins in an IANA time zone.

    In a zone whose clocks skip midnight the day begins with its first existing moment.
    """
    local = datetime.combine(day, time.min, tzinfo=ZoneInfo(time_zone))
    return local.astimezone(UTC)
