"""Periods: the calendar oracles, tiling, and zones whose clocks change."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.period import Interval, IntervalUnit, Period, boundary, day_in_zone, period_at, start_of_day

ZONES = [
    "Europe/Moscow",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
]
MONTHS = {IntervalUnit.MONTH: 1, IntervalUnit.QUARTER: 3, IntervalUnit.HALF_YEAR: 6, IntervalUnit.YEAR: 12}

anchors = st.dates(date(1900, 1, 1), date(2300, 12, 31))
intervals = st.builds(Interval, st.sampled_from(list(IntervalUnit)), st.integers(1, 6))


def starts(anchor: date, unit: IntervalUnit, numbers: range) -> list[date]:
    return [boundary(anchor, Interval(unit), number) for number in numbers]


def test_oracle_monthly_from_31_january() -> None:
    assert starts(date(2025, 1, 31), IntervalUnit.MONTH, range(1, 5)) == [
        date(2025, 2, 28),
        date(2025, 3, 31),
        date(2025, 4, 30),
        date(2025, 5, 31),
    ]


def test_oracle_monthly_from_30_january() -> None:
    got = starts(date(2025, 1, 30), IntervalUnit.MONTH, range(1, 3))
    assert got == [date(2025, 2, 28), date(2025, 3, 30)]


def test_oracle_yearly_from_29_february_2024() -> None:
    assert starts(date(2024, 2, 29), IntervalUnit.YEAR, range(1, 5)) == [
        date(2025, 2, 28),
        date(2026, 2, 28),
        date(2027, 2, 28),
        date(2028, 2, 29),
    ]


@pytest.mark.parametrize(("year", "february"), [(2024, 28), (2023, 29)])
def test_oracle_quarterly_from_30_november(year: int, february: int) -> None:
    assert starts(date(year, 11, 30), IntervalUnit.QUARTER, range(1, 5)) == [
        date(year + 1, 2, february),
        date(year + 1, 5, 30),
        date(year + 1, 8, 30),
        date(year + 1, 11, 30),
    ]


@given(anchors, intervals, st.integers(0, 240))
def test_periods_tile_without_gap_or_overlap(anchor: date, interval: Interval, number: int) -> None:
    one, following = period_at(anchor, interval, number), period_at(anchor, interval, number + 1)
    assert one.end == following.start
    assert one.start < one.end
    assert one.end - timedelta(days=1) in one
    assert one.end not in one


@given(anchors, intervals, st.integers(0, 240))
def test_month_boundaries_keep_the_anchors_day_or_the_months_last(
    anchor: date, interval: Interval, number: int
) -> None:
    got = boundary(anchor, interval, number)
    if interval.unit not in MONTHS:
        days = {IntervalUnit.DAY: 1, IntervalUnit.WEEK: 7}[interval.unit]
        assert (got - anchor).days == days * interval.count * number
        return
    # Independent arithmetic: months counted from year 0, the day clamped to the month's length.
    months = anchor.year * 12 + anchor.month - 1 + MONTHS[interval.unit] * interval.count * number
    year, month = divmod(months, 12)
    assert got == date(year, month + 1, min(anchor.day, monthrange(year, month + 1)[1]))


def test_every_anchor_of_400_years_keeps_its_day_a_year_of_months_later() -> None:
    day = date(1900, 1, 1)
    month, year = Interval(IntervalUnit.MONTH), Interval(IntervalUnit.YEAR)
    while day.year < 2300:
        if day.day >= 28:  # only these can be clamped
            assert boundary(day, month, 12) == boundary(day, year, 1)
            assert boundary(day, month, 48).day in (day.day, 28)
        day += timedelta(days=1)


@given(st.sampled_from(ZONES), st.dates(date(2009, 1, 1), date(2035, 12, 31)))
def test_day_in_zone_and_start_of_day_agree(zone: str, day: date) -> None:
    begins = start_of_day(day, zone)
    if (zone, day) == ("Pacific/Apia", date(2011, 12, 30)):  # the day the island left out
        assert day_in_zone(begins, zone) == date(2011, 12, 31)
        return
    assert begins.tzinfo is UTC
    assert day_in_zone(begins, zone) == day
    assert day_in_zone(begins - timedelta(microseconds=1), zone) < day


@given(st.sampled_from(ZONES), st.dates(date(2012, 1, 1), date(2035, 12, 31)), intervals)
def test_a_period_across_a_clock_change_is_whole_days(zone: str, anchor: date, interval: Interval) -> None:
    period = period_at(anchor, interval, 0)
    length = start_of_day(period.end, zone) - start_of_day(period.start, zone)
    assert abs(length - timedelta(days=period.days)) <= timedelta(hours=1)
    assert period.days == (period.end - period.start).days


def test_spring_and_autumn_days_in_berlin_are_23_and_25_hours() -> None:
    def hours(day: date) -> float:
        begins, ends = (
            start_of_day(day, "Europe/Berlin"),
            start_of_day(day + timedelta(days=1), "Europe/Berlin"),
        )
        return (ends - begins) / timedelta(hours=1)

    assert [hours(day) for day in (date(2026, 3, 29), date(2026, 10, 25), date(2026, 6, 1))] == [23, 25, 24]


def test_a_day_whose_midnight_is_skipped_begins_with_its_first_moment() -> None:
    # Sao Paulo, 4 Nov 2018: 00:00 became 01:00.
    begins = start_of_day(date(2018, 11, 4), "America/Sao_Paulo")
    assert begins == datetime(2018, 11, 4, 3, tzinfo=UTC)


def test_the_moscow_day_begins_at_21_utc() -> None:
    assert start_of_day(date(2026, 1, 1), "Europe/Moscow") == datetime(2025, 12, 31, 21, tzinfo=UTC)
    assert day_in_zone(datetime(2025, 12, 31, 20, 59, tzinfo=UTC), "Europe/Moscow") == date(2025, 12, 31)


def test_empty_periods_and_intervals_are_refused() -> None:
    with pytest.raises(ValueError, match="end after"):
        Period(date(2026, 1, 1), date(2026, 1, 1))
    with pytest.raises(ValueError, match="positive"):
        Interval(IntervalUnit.DAY, 0)
