"""Dunning: the schedule of each class of decline and the limits on one card."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_api.billing_service.domain.dunning import (
    DEFAULT_POLICY,
    Decision,
    DeclineClass,
    DunningPolicy,
    Failure,
    Next,
    after_new_method,
    allowed_from,
    cancels_at,
    decide,
    is_due,
)

DAY = timedelta(days=1)
FIRST = datetime(2026, 4, 11, 6, tzinfo=UTC)


def failure(
    after: timedelta = timedelta(0), kind: DeclineClass = DeclineClass.SOFT, card: str = "a"
) -> Failure:
    return Failure(FIRST + after, kind, card)


def test_soft_declines_are_retried_on_days_1_3_5_7_14_then_given_up_on_21() -> None:
    failures = [failure()]
    days = []
    while (decision := decide(failures)).next is Next.RETRY:
        days.append((decision.at - FIRST) / DAY)
        failures.append(Failure(decision.at, DeclineClass.SOFT, "a"))
    assert days == [1, 3, 5, 7, 14]
    assert decision == Decision(Next.WAIT_FOR_METHOD, FIRST + 21 * DAY)
    assert is_due(decision, FIRST + 20 * DAY) is None
    assert is_due(decision, FIRST + 21 * DAY) is Next.CANCEL


def test_a_late_retry_does_not_shift_the_days_after_it() -> None:
    assert decide([failure(), failure(1.4 * DAY)]).at == FIRST + 3 * DAY


def test_a_technical_failure_is_retried_once_after_15_minutes_then_as_soft() -> None:
    first = failure(kind=DeclineClass.TECHNICAL)
    assert decide([first]) == Decision(Next.RETRY, FIRST + timedelta(minutes=15))
    again = failure(timedelta(minutes=15), DeclineClass.TECHNICAL)
    # Both attempts count against the card: the third waits until the first is 24 hours old.
    assert decide([first, again]) == Decision(Next.RETRY, FIRST + DAY)


def test_hard_declines_wait_for_another_card_and_authentication_asks_the_user() -> None:
    hard = decide([failure(kind=DeclineClass.HARD)])
    assert hard == Decision(Next.WAIT_FOR_METHOD, FIRST + 21 * DAY)
    asked = decide([failure(), failure(DAY, DeclineClass.AUTHENTICATION)])
    assert asked == Decision(Next.ASK_USER, FIRST + 21 * DAY)
    assert is_due(asked, FIRST + 5 * DAY) is None


def test_another_card_is_tried_at_once_until_it_is_too_late() -> None:
    now = FIRST + 2 * DAY
    assert after_new_method(now, first_failed_at=FIRST) == Decision(Next.RETRY, now)
    spent = [now - timedelta(hours=2), now - timedelta(hours=1)]
    assert after_new_method(now, first_failed_at=FIRST, card_attempted_at=spent).at == now + timedelta(
        hours=22
    )
    assert after_new_method(FIRST + 21 * DAY, first_failed_at=FIRST).next is Next.CANCEL
    close = FIRST + 21 * DAY - timedelta(hours=1)
    assert after_new_method(close, first_failed_at=FIRST, card_attempted_at=[close, close]).next is (
        Next.WAIT_FOR_METHOD
    )


def test_attempts_on_other_invoices_count_against_the_card() -> None:
    others = [FIRST + timedelta(hours=20), FIRST + timedelta(hours=23)]
    assert decide([failure()], card_attempted_at=others).at == FIRST + timedelta(hours=44)


@given(st.lists(st.integers(0, 6 * 24 * 60), max_size=12), st.integers(0, 8 * 24 * 60))
def test_never_more_than_2_attempts_in_any_24_hours(minutes: list[int], wanted: int) -> None:
    made: list[datetime] = []
    for minute in sorted(minutes):
        made.append(allowed_from(made, FIRST + timedelta(minutes=minute)))
        made.sort()
    made.append(allowed_from(made, FIRST + timedelta(minutes=wanted)))
    made.sort()
    for index in range(len(made) - 2):
        assert made[index + 2] - made[index] >= DAY


def test_cancellation_days() -> None:
    assert cancels_at(FIRST) == FIRST + 21 * DAY
    short = DunningPolicy(soft_retry_days=(2,), cancel_day=4)
    assert decide([failure()], policy=short).at == FIRST + 2 * DAY
    assert cancels_at(FIRST, short) == FIRST + 4 * DAY
    assert DEFAULT_POLICY.soft_retry_days == (1, 3, 5, 7, 14)


@pytest.mark.parametrize(
    "terms",
    [
        {"soft_retry_days": (3, 1)},
        {"soft_retry_days": (0,)},
        {"cancel_day": 13},
        {"attempts_per_card": 0},
    ],
)
def test_policies_that_contradict_themselves_are_refused(terms: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        DunningPolicy(**terms)  # type: ignore[arg-type]


def test_deciding_without_a_failure_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing has failed"):
        decide([])
