"""The billing calendar over 400 years of anchors: whatever a subscription lives through, its days add up.

A reckoning of its own beside the rules: which days were given to the customer, one by one, and for how much.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing_api.billing_service.domain import entitlements, proration
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.domain.subscription import Kind, Status, Subscription
from shared.errors import AppError
from shared.money import divide_half_up
from shared.period import Interval, IntervalUnit, Period, boundary, start_of_day

ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))
ANCHORS = st.dates(date(1900, 1, 1), date(2299, 12, 31))
INTERVALS = st.builds(Interval, st.sampled_from(IntervalUnit), st.integers(1, 3))
ZONES = st.sampled_from(
    ["Europe/Moscow", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
)
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["renew", "renew", "pause", "extend", "change now", "change at end"]),
        st.integers(0, 400),
        INTERVALS,
    ),
    max_size=8,
)


def _begun(anchor: date, interval: Interval, zone: str, trial_days: int) -> Subscription:
    value = Subscription(Status.INCOMPLETE, anchor, zone, Kind.RECURRING, interval)
    if trial_days:
        return rules.start_trial(value, today=anchor, days=trial_days)
    return rules.activate(rules.with_next_period(value), today=anchor)


def _paid(value: Subscription) -> Subscription:
    """The period just invoiced is paid: the first one after a trial activates."""
    assert value.period is not None
    if value.status is Status.TRIALING:
        return rules.activate(value, today=value.period.start)
    return rules.with_period_paid(value, value.period)


def _in_period(value: Subscription, number: int) -> date:
    """Some day of the running period."""
    assert value.period is not None
    return value.period.start + timedelta(days=number % value.period.days)


def _live(value: Subscription, action: str, number: int, interval: Interval) -> tuple[Subscription, int]:
    """The next state, everything paid at once; and how many days without access lay between."""
    assert value.period is not None
    match action:
        case "renew":
            return _paid(rules.renew(value)), 0
        case "extend":
            return rules.extend(value, days=1 + number % 60, today=_in_period(value, number)), 0
        case "pause":
            day, away = _in_period(value, number), number % 90
            return rules.resume(rules.pause(value, today=day), today=day + timedelta(days=away)), away
        case "change now":
            day = _in_period(value, number)
            return rules.change_product(value, interval=interval, on=day, grace_days=0), 0
        case _:
            value = rules.change_product_at_boundary(value, interval=interval, grace_days=0)
            return _paid(rules.renew(value)), 0


@settings(max_examples=1_500 * ROUNDS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANCHORS, INTERVALS, ZONES, st.sampled_from([0, 0, 1, 14, 30]), ACTIONS)
def test_the_days_of_any_life_follow_each_other(anchor, interval, zone, trial_days, actions) -> None:
    """Each period begins where the last one ended: no day is billed twice, none is lost but while paused."""
    value = _begun(anchor, interval, zone, trial_days)
    end = value.period.end
    assert value.period.start == anchor
    for action, number, other in actions:
        before = value.period
        if action in ("pause", "change now") and before.end != end:
            continue  # resumed with nothing kept: it waits for its renewal
        try:
            value, away = _live(value, action, number, other)
        except AppError:
            continue  # refused: a trial is not paused
        assert value.period is not None
        assert value.paid_through_on is not None
        if action in ("renew", "change at end"):
            assert value.period.start == end, "tiles"
        elif action == "pause":
            kept = (end - _in_period(replace(value, period=before), number)).days - 1
            assert value.period.days == kept or kept == 0 or not away
            later = max(0, away - 1)  # the day of the pause is used, unless it ends that day
            assert value.paid_through_on == end + timedelta(days=later), "the kept days are given later"
        elif action == "extend":
            assert value.period.end == end + timedelta(days=1 + number % 60)
        elif value.period != before:
            assert value.period.start in before, "another interval begins on the day of change"
        end = value.period.end if action != "pause" else value.paid_through_on
        assert rules.next_period(value).start == end, "the next one begins where this one ends"
        assert (
            entitlements.access_until(value) == start_of_day(value.paid_through_on, zone) or value.grace_days
        )


@settings(max_examples=1_000 * ROUNDS, deadline=None)
@given(ANCHORS, INTERVALS, st.integers(0, 60))
def test_no_anchor_drifts_however_many_periods_pass(anchor: date, interval: Interval, number: int) -> None:
    """Renewing one by one comes to the same day as counting from the anchor at once."""
    value = _begun(anchor, interval, "Europe/Moscow", 0)
    for _ in range(number):
        value = rules.renew(value)
    assert value.period is not None
    assert value.period.end == boundary(anchor, interval, number + 1)


def test_every_day_of_every_period_length_is_worth_what_was_paid() -> None:
    """For each length of a month, each day and 1 to 400 kopecks: used + unused = paid, and never below 0."""
    for days in (28, 29, 30, 31):
        period = Period(date(2026, 1, 1), date(2026, 1, 1) + timedelta(days=days))
        for amount in range(1, 401):
            paid = proration.PaidDays("p", period, amount, 2200)
            before = amount
            for day in range(days + 1):
                credit = proration.unused_credit_minor(paid, period.start + timedelta(days=day))
                assert credit == divide_half_up(amount * (days - day), days)
                assert 0 <= credit <= before, "a later day is never worth more"
                before = credit
            assert before == 0


@pytest.mark.parametrize(
    "zone", ["Europe/Moscow", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
)
def test_a_year_of_months_is_a_year_in_every_zone(zone: str) -> None:
    """Moments of 4,800 month boundaries follow each other and tile 400 years exactly, leap years included."""
    month = Interval(IntervalUnit.MONTH)
    moments = [start_of_day(boundary(date(1900, 1, 31), month, number), zone) for number in range(4801)]
    assert all(earlier < later for earlier, later in pairwise(moments))
    assert (boundary(date(1900, 1, 31), month, 4800) - date(1900, 1, 31)).days == 146_097
