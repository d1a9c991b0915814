"""Change of product: the oracles of unused days, both kinds of interval, money left over."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_api.billing_service.domain.pricing import Quote, price_quote, recompute
from billing_api.billing_service.domain.proration import (
    ChangePlan,
    ChangePolicy,
    ChangeTiming,
    NewPrice,
    PaidDays,
    pending_change_lapses_at,
    plan_change,
    timing,
    unused_credit_minor,
    unused_days,
)
from shared.errors import AppError
from shared.period import Interval, IntervalUnit, Period

MONTH, YEAR = Interval(IntervalUnit.MONTH), Interval(IntervalUnit.YEAR)
PERIOD = Period(date(2026, 4, 11), date(2026, 5, 11))
PAID = PaidDays("basic", PERIOD, 49_900, 2_200)
PREMIUM = NewPrice("premium", "premium-month", 79_900, MONTH)


def plan(day: date, new: NewPrice = PREMIUM, paid: PaidDays = PAID) -> ChangePlan:
    return plan_change(
        effective_on=day,
        anchor_on=PERIOD.start,
        current_interval=MONTH,
        current_period=PERIOD,
        paid=paid,
        new=new,
    )


def priced(planned: ChangePlan) -> Quote:
    now = datetime(2026, 4, 26, 9, tzinfo=UTC)
    quote = price_quote(planned.lines, currency="RUB", now=now, day=planned.effective_on)
    for line in quote.lines:
        assert recompute([step.as_json() for step in line.steps]).amount_minor == line.amount_minor
    return quote


def test_oracle_499_changed_on_26_april_credits_249_50() -> None:
    assert unused_credit_minor(PAID, date(2026, 4, 26)) == 24_950


def test_oracle_31_day_period_with_10_days_left_credits_160_97() -> None:
    paid = PaidDays("basic", Period(date(2026, 5, 1), date(2026, 6, 1)), 49_900, 2_200)
    assert unused_days(paid.period, date(2026, 5, 22)) == 10
    assert unused_credit_minor(paid, date(2026, 5, 22)) == 16_097


def test_same_interval_keeps_the_anchor_and_has_two_lines() -> None:
    planned = plan(date(2026, 4, 26))
    assert (planned.anchor_on, planned.period, planned.moves_anchor) == (PERIOD.start, PERIOD, False)
    quote = priced(planned)
    assert [line.amount_minor for line in quote.lines] == [39_950, -24_950]
    assert (quote.total_minor, quote.amount_due_minor) == (15_000, 15_000)


def test_other_interval_is_a_full_period_from_the_day_of_change() -> None:
    planned = plan(date(2026, 4, 26), NewPrice("basic", "basic-year", 499_000, YEAR))
    assert (planned.anchor_on, planned.moves_anchor) == (date(2026, 4, 26), True)
    assert planned.period == Period(date(2026, 4, 26), date(2027, 4, 26))
    assert priced(planned).total_minor == 499_000 - 24_950


def test_a_net_below_zero_becomes_account_balance() -> None:
    quote = priced(plan(date(2026, 4, 26), NewPrice("mini", "mini-month", 9_900, MONTH)))
    assert (quote.total_minor, quote.amount_due_minor, quote.to_balance_minor) == (-20_000, 0, 20_000)


def test_the_credit_is_of_what_was_paid_net_of_discounts() -> None:
    half = PaidDays("basic", PERIOD, 24_950, 2_200)
    assert priced(plan(date(2026, 4, 26), paid=half)).lines[1].amount_minor == -12_475
    nothing = PaidDays("basic", PERIOD, 0, 2_200)
    assert len(plan(date(2026, 4, 26), paid=nothing).lines) == 1


def test_a_second_change_credits_the_tail_that_the_first_one_paid() -> None:
    tail = PaidDays("premium", Period(date(2026, 4, 26), PERIOD.end), 39_950, 2_200)
    quote = priced(plan(date(2026, 5, 1), NewPrice("family", "family-month", 99_900, MONTH), tail))
    assert [line.amount_minor for line in quote.lines] == [33_300, -26_633]


def test_a_change_outside_the_period_is_refused() -> None:
    for day in (PERIOD.start - timedelta(days=1), PERIOD.end):
        with pytest.raises(AppError, match="change-outside-period"):
            plan(day)


def test_dearer_now_cheaper_at_the_periods_end_trial_at_once() -> None:
    def when(amount: int, interval: Interval = MONTH, trialing: bool = False) -> ChangeTiming:
        new = NewPrice("x", "x", amount, interval)
        return timing(current_minor=49_900, current_interval=MONTH, new=new, trialing=trialing)

    assert when(79_900) is ChangeTiming.NOW
    assert when(9_900) is ChangeTiming.AT_PERIOD_END
    assert when(9_900, trialing=True) is ChangeTiming.NOW
    assert when(499_000, YEAR) is ChangeTiming.AT_PERIOD_END  # cheaper by the day
    assert when(700_000, YEAR) is ChangeTiming.NOW
    assert when(149_700, Interval(IntervalUnit.QUARTER)) is ChangeTiming.NOW
    late = ChangePolicy(dearer=ChangeTiming.AT_PERIOD_END, cheaper=ChangeTiming.NOW)
    reverse = timing(current_minor=1, current_interval=MONTH, new=PREMIUM, trialing=False, policy=late)
    assert reverse is ChangeTiming.AT_PERIOD_END


def test_an_unpaid_change_lapses_at_the_end_of_its_day_in_the_accounts_zone() -> None:
    lapses = pending_change_lapses_at(
        effective_on=date(2026, 4, 26), next_boundary_on=PERIOD.end, time_zone="Europe/Moscow"
    )
    assert lapses == datetime(2026, 4, 26, 21, tzinfo=UTC)


def test_used_and_unused_days_give_the_whole_price_within_half_a_kopeck() -> None:
    for length in range(1, 32):
        period = Period(date(2026, 1, 1), date(2026, 1, 1) + timedelta(days=length))
        for amount in (1, 50, 9_999, 49_900):
            paid = PaidDays("p", period, amount, 2_200)
            for used in range(length + 1):
                credit = unused_credit_minor(paid, period.start + timedelta(days=used))
                assert abs(credit - Fraction(amount * (length - used), length)) <= Fraction(1, 2)


@given(st.integers(0, 29), st.integers(0, 200_000), st.integers(0, 200_000))
def test_any_change_is_the_difference_for_the_same_days(used: int, paid: int, price: int) -> None:
    planned = plan(
        PERIOD.start + timedelta(days=used),
        NewPrice("n", "n", price, MONTH),
        PaidDays("basic", PERIOD, paid, 2_200),
    )
    quote = priced(planned)
    assert abs(quote.total_minor - Fraction((price - paid) * (30 - used), 30)) <= 1
    assert quote.amount_due_minor - quote.to_balance_minor == quote.total_minor
