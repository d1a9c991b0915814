"""Subscriptions: every cell of the state table, periods, access, renewals, pause, terms, purchases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_api.billing_service.domain import entitlements
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.domain.due import due_ending, due_renewals
from billing_api.billing_service.domain.subscription import TRANSITIONS, Action, Kind, Status, Subscription
from shared.errors import AppError
from shared.errors import Kind as ErrorKind
from shared.period import Interval, IntervalUnit, Period, boundary

MONTH = Interval(IntervalUnit.MONTH)
START = date(2026, 1, 31)
FEBRUARY = Period(date(2026, 1, 31), date(2026, 2, 28))

# The table of domain rule 3 written out once more, so that a slip in the code's table shows.
ALLOWED = {
    Status.INCOMPLETE: {"start_trial", "activate", "cancel", "expire"},
    Status.TRIALING: {
        "renew", "activate", "fail_payment", "schedule_cancel", "undo_cancel", "change_product", "extend",
        "cancel",
    },
    Status.ACTIVE: {
        "renew", "fail_payment", "pause", "schedule_cancel", "undo_cancel", "change_product", "extend",
        "cancel", "expire",
    },
    Status.PAST_DUE: {"recover", "fail_payment", "schedule_cancel", "undo_cancel", "cancel", "expire"},
    Status.PAUSED: {"resume", "cancel"},
    Status.CANCELLED: set(),
    Status.EXPIRED: set(),
}  # fmt: skip


def new(**more: object) -> Subscription:
    given_: dict[str, object] = {
        "status": Status.INCOMPLETE,
        "anchor_on": START,
        "time_zone": "Europe/Moscow",
        "interval": MONTH,
    }
    return Subscription(**{**given_, **more})  # type: ignore[arg-type]


def active(**more: object) -> Subscription:
    return replace(rules.activate(rules.with_next_period(new()), today=START), **more)  # type: ignore[arg-type]


def in_status(status: Status) -> Subscription:
    paid = FEBRUARY.end if status is not Status.PAST_DUE else FEBRUARY.start
    return active(status=status, paid_through_on=paid)


def moment(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=3)


@pytest.mark.parametrize(("status", "action"), list(product(Status, Action)))
def test_every_cell_of_the_state_table(status: Status, action: Action) -> None:
    given_ = replace(in_status(status), cancel_at_period_end=action is Action.UNDO_CANCEL)
    refused = rules.refusal(given_, action)
    assert (refused is None) is (action.value in ALLOWED[status])
    assert ((status, action) in TRANSITIONS) is (action.value in ALLOWED[status])
    if refused is not None:
        assert (refused.code, refused.kind) == ("subscription-transition-refused", ErrorKind.CONFLICT)
        assert refused.detail.endswith(".")
        assert refused.extra == {"status": status.value, "action": action.value}


def test_the_live_states_are_all_but_cancelled_and_expired() -> None:
    assert set(Status) - rules.LIVE == {Status.CANCELLED, Status.EXPIRED}


def test_every_function_moves_to_the_state_of_the_table() -> None:
    today = date(2026, 2, 10)
    moves = [
        (rules.start_trial(new(), today=today, days=7), Status.TRIALING),
        (active(), Status.ACTIVE),
        (rules.renew(active()), Status.ACTIVE),
        (rules.fail_payment(active()), Status.PAST_DUE),
        (rules.recover(in_status(Status.PAST_DUE), FEBRUARY), Status.ACTIVE),
        (rules.pause(active(), today=today), Status.PAUSED),
        (rules.resume(rules.pause(active(), today=today), today=today), Status.ACTIVE),
        (rules.cancel(active(), today=today), Status.CANCELLED),
        (rules.expire(new(), today=today), Status.EXPIRED),
    ]
    for moved, status in moves:
        assert moved.status is status
    for refused in (Status.CANCELLED, Status.EXPIRED, Status.PAUSED):
        with pytest.raises(AppError, match="subscription-transition-refused"):
            rules.pause(in_status(refused), today=today)


def test_a_scheduled_cancellation_can_be_undone_until_the_period_ends() -> None:
    scheduled = rules.schedule_cancel(active())
    for action in (Action.SCHEDULE_CANCEL, Action.CHANGE_PRODUCT, Action.PAUSE, Action.RENEW):
        assert rules.refusal(scheduled, action) is not None
    assert rules.undo_cancel(scheduled, today=date(2026, 2, 27)) == active()
    with pytest.raises(AppError, match="has ended"):
        rules.undo_cancel(scheduled, today=FEBRUARY.end)
    with pytest.raises(AppError, match="No cancellation"):
        rules.undo_cancel(active(), today=START)


def test_access_is_the_paid_end_plus_grace_or_the_bare_end() -> None:
    assert entitlements.access_until(active()) == moment(date(2026, 3, 3))
    assert entitlements.access_until(rules.schedule_cancel(active())) == moment(date(2026, 2, 28))
    assert entitlements.access_until(active(term_periods=1)) == moment(date(2026, 2, 28))
    assert entitlements.access_until(active(term_periods=2)) == moment(date(2026, 3, 3))
    assert entitlements.access(new()) == entitlements.Access(False, None)
    ended = rules.cancel(active(), today=date(2026, 2, 10))
    assert entitlements.access(ended) == entitlements.Access(False, moment(date(2026, 2, 10)))
    paused = rules.pause(active(), today=date(2026, 2, 10))
    assert entitlements.access(paused) == entitlements.Access(False, moment(date(2026, 2, 10)))


def test_full_in_the_grace_then_reduced_until_day_21_where_there_is_grace() -> None:
    access = entitlements.access(rules.fail_payment(rules.renew(active())))
    assert access == entitlements.Access(True, moment(date(2026, 3, 3)), moment(date(2026, 3, 21)))
    shorter = entitlements.access(active(reduced_days=10))
    assert shorter.reduced_until_at == moment(date(2026, 3, 10))
    # Never before the grace is over.
    assert entitlements.access(active(reduced_days=1)).reduced_until_at == moment(date(2026, 3, 3))
    for bare in (
        rules.schedule_cancel(active()),
        active(term_periods=1),
        rules.pause(active(), today=date(2026, 2, 10)),
        rules.cancel(active(), today=date(2026, 2, 10)),
        new(),
    ):
        assert entitlements.access(bare).reduced_until_at is None


def test_a_renewal_that_is_not_paid_does_not_lengthen_access() -> None:
    renewed = rules.renew(active())
    assert renewed.period == Period(date(2026, 2, 28), date(2026, 3, 31))
    assert entitlements.access_until(renewed) == moment(date(2026, 3, 3))
    late = rules.fail_payment(renewed)
    assert entitlements.access_until(late) == moment(date(2026, 3, 3))
    assert entitlements.access_until(rules.recover(late, renewed.period)) == moment(date(2026, 4, 3))
    assert rules.refusal(renewed, Action.PAUSE) is not None
    assert rules.refusal(renewed, Action.CHANGE_PRODUCT) is not None


def test_the_trials_end_is_the_anchor_and_the_first_invoice_is_due_then() -> None:
    trial = rules.start_trial(new(), today=date(2026, 1, 17), days=14)
    assert (trial.anchor_on, trial.paid_through_on) == (START, START)
    assert due_renewals(trial, today=date(2026, 1, 30), cap=12).periods == ()
    assert due_renewals(trial, today=START, cap=12).periods == (FEBRUARY,)
    paid = rules.activate(rules.renew(trial), today=START)
    assert (paid.status, paid.paid_through_on) == (Status.ACTIVE, FEBRUARY.end)


def test_a_long_gap_bills_the_missed_periods_in_order_up_to_the_cap() -> None:
    due = due_renewals(active(), today=date(2026, 7, 31), cap=12)
    assert [period.start for period in due.periods] == [
        date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30),
        date(2026, 5, 31), date(2026, 6, 30), date(2026, 7, 31),
    ]  # fmt: skip
    assert not due.cap_reached
    capped = due_renewals(active(), today=date(2026, 7, 31), cap=2)
    assert (capped.periods, capped.cap_reached) == (due.periods[:2], True)
    assert not due_renewals(active(), today=date(2026, 7, 31), cap=6).cap_reached
    assert due_renewals(active(), today=date(2026, 2, 27), cap=12).periods == ()


def test_nothing_is_due_for_those_that_are_not_billed() -> None:
    late = date(2027, 1, 1)
    for status in set(Status) - {Status.ACTIVE, Status.TRIALING}:
        assert due_renewals(in_status(status), today=late, cap=9).periods == ()
    assert due_renewals(rules.schedule_cancel(active()), today=late, cap=9).periods == ()


def test_a_fixed_term_bills_its_periods_and_expires() -> None:
    fixed = active(term_periods=3)
    due = due_renewals(fixed, today=date(2027, 1, 1), cap=99)
    assert len(due.periods) == 2
    last = rules.renew(rules.renew(fixed))
    with pytest.raises(AppError, match="term is over"):
        rules.renew(last)
    assert last.period is not None
    assert due_ending(last, today=date(2030, 1, 1)) is None, "its last period is not paid"
    last = rules.with_period_paid(last, last.period)
    assert last.period is not None
    assert due_ending(last, today=last.period.end - timedelta(days=1)) is None
    assert due_ending(last, today=last.period.end) is Action.EXPIRE


def test_a_scheduled_cancellation_is_carried_out_at_the_periods_end() -> None:
    scheduled = rules.schedule_cancel(active())
    assert due_ending(scheduled, today=date(2026, 2, 27)) is None
    assert due_ending(scheduled, today=FEBRUARY.end) is Action.CANCEL
    assert due_ending(active(), today=FEBRUARY.end) is None
    assert due_ending(in_status(Status.CANCELLED), today=date(2030, 1, 1)) is None


@given(st.integers(0, 27), st.integers(0, 400))
def test_pause_and_resume_keep_the_days_after_the_pause(used: int, away: int) -> None:
    pausing = START + timedelta(days=used)
    paused = rules.pause(active(), today=pausing)
    assert paused.remaining_days == FEBRUARY.days - used - 1
    assert due_renewals(paused, today=date(2030, 1, 1), cap=9).periods == ()
    returning = pausing + timedelta(days=away)
    resumed = rules.resume(paused, today=returning)
    if not away:
        assert resumed == active()
    assert resumed.paid_through_on == returning + timedelta(days=FEBRUARY.days - used - bool(away))
    assert resumed.remaining_days is None
    assert rules.next_period(resumed).start == resumed.paid_through_on


def test_an_extension_moves_the_paid_end_and_the_next_period() -> None:
    longer = rules.extend(active(), days=10, today=START)
    assert longer.paid_through_on == date(2026, 3, 10)
    assert rules.next_period(longer).start == date(2026, 3, 10)
    unpaid = rules.extend(rules.renew(active()), days=10, today=START)
    assert unpaid.has_unpaid_period
    assert unpaid.paid_through_on == date(2026, 3, 10)


def test_another_interval_starts_from_the_day_of_change() -> None:
    changed = rules.rebase(active(), anchor_on=date(2026, 2, 10), interval=Interval(IntervalUnit.YEAR))
    assert changed.period == Period(date(2026, 2, 10), date(2027, 2, 10))
    assert rules.next_period(changed).start == date(2027, 2, 10)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 40))
def test_renewals_tile_from_the_anchor(anchor: date, count: int) -> None:
    one = rules.with_next_period(new(anchor_on=anchor, status=Status.ACTIVE))
    for number in range(1, count):
        before = one.period
        one = rules.with_next_period(one)
        assert before is not None
        assert one.period is not None
        assert before.end == one.period.start == boundary(anchor, MONTH, number)
    assert one.periods_billed == count


def test_a_one_time_purchase_for_ever_and_for_rental_days() -> None:
    bought = new(kind=Kind.ONE_TIME, interval=None)
    assert entitlements.access(bought) == entitlements.Access(False, None)
    ever = rules.activate(bought, today=START)
    assert entitlements.access(ever) == entitlements.Access(True, None)
    assert due_ending(ever, today=date(2099, 1, 1)) is None
    rented = rules.activate(replace(bought, rental_days=2), today=START)
    assert entitlements.access(rented) == entitlements.Access(True, moment(date(2026, 2, 2)))
    assert due_ending(rented, today=date(2026, 2, 1)) is None
    assert due_ending(rented, today=date(2026, 2, 2)) is Action.EXPIRE
    assert rules.extend(rented, days=1, today=START).paid_through_on == date(2026, 2, 3)
    for action in (Action.RENEW, Action.PAUSE, Action.SCHEDULE_CANCEL, Action.CHANGE_PRODUCT):
        assert rules.refusal(ever, action) is not None
    assert due_renewals(rented, today=date(2030, 1, 1), cap=9).periods == ()


def test_bad_values_are_refused() -> None:
    with pytest.raises(ValueError, match="interval"):
        new(interval=None)
    with pytest.raises(ValueError, match="grace"):
        new(grace_days=-1)
    with pytest.raises(ValueError, match="cap"):
        due_renewals(active(), today=START, cap=0)
    with pytest.raises(ValueError, match="at least a day"):
        rules.start_trial(new(), today=START, days=0)
    with pytest.raises(ValueError, match="at least a day"):
        rules.extend(active(), days=0, today=START)
