"""The ladder to the second: when the reconciler asks, sends again, believes a miss, and gives up."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from pay_api.pay_service.context import Context
from pay_api.pay_service.ladder import LADDER, believes_miss, may_resend, next_query_at
from pay_api.pay_service.reconcile import reconcile
from tests.pay_api.conftest import Pay, event_types, lost_renewal

SENT = datetime(2027, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def test_rungs_are_those_of_the_design() -> None:
    quarters = [minutes(15 * number) for number in range(2, 9)]
    hours = [timedelta(hours=number) for number in range(3, 25)]
    early = [timedelta(seconds=20), *map(minutes, (1, 2, 5, 10, 15))]
    assert list(LADDER) == early + quarters + hours
    for earlier, later in itertools.pairwise(LADDER):
        assert next_query_at(SENT, SENT + earlier) == SENT + later
        assert next_query_at(SENT, SENT + later - SECOND) == SENT + later


@pytest.mark.parametrize(
    ("age", "allowed"),
    [
        (minutes(6) - SECOND, False),
        (minutes(6), True),
        (minutes(50), True),
        (minutes(50) + SECOND, False),
    ],
)
def test_window_of_sending_again(age: timedelta, allowed: bool) -> None:
    assert may_resend(SENT, SENT, SENT + age) is allowed


def test_a_second_sending_opens_no_new_window() -> None:
    again = SENT + minutes(48)
    assert not may_resend(SENT, again, again + minutes(2))
    assert not may_resend(SENT, again, again + minutes(6))
    assert not may_resend(SENT, SENT + minutes(40), SENT + minutes(46) - SECOND)
    assert may_resend(SENT, SENT + minutes(40), SENT + minutes(46))


@pytest.mark.parametrize(
    ("age", "since_first_miss", "believed"),
    [
        (minutes(10), minutes(2), True),
        (minutes(10) - SECOND, minutes(2), False),
        (minutes(10), minutes(2) - SECOND, False),
        (minutes(10), None, False),
    ],
)
def test_when_not_found_is_believed(
    age: timedelta, since_first_miss: timedelta | None, believed: bool
) -> None:
    now = SENT + age
    missed_at = None if since_first_miss is None else now - since_first_miss
    assert believes_miss(SENT, missed_at, now) is believed


async def _ask_now(ctx: Context, db: asyncpg.Pool, payment_id: str) -> None:
    """One question now, whatever the ladder says."""
    await db.execute(
        "UPDATE payment_attempt SET next_query_at = first_sent_at WHERE payment_id = $1", UUID(payment_id)
    )
    await reconcile(ctx)


@pytest.mark.parametrize(
    ("age", "sent_again"),
    [
        (minutes(6) - SECOND, False),
        (minutes(6), True),
        (minutes(50), True),
        (minutes(50) + SECOND, False),
    ],
)
async def test_the_charge_is_sent_again_exactly_inside_the_window(
    pay: Pay, ctx: Context, db: asyncpg.Pool, age: timedelta, sent_again: bool
) -> None:
    _, _, payment_id = await lost_renewal(pay, ctx)
    view = await pay.show(payment_id)
    pay.clock.advance(age)
    await _ask_now(ctx, db, view["id"])
    assert len(await pay.effects(view["user_id"])) == 1 + sent_again  # the first one saved the card
    expected = "succeeded" if sent_again else "unknown"
    assert (await pay.show(view["id"]))["status"] == expected
    if not sent_again:  # leaves nothing due to other tests
        pay.clock.advance(timedelta(hours=2))
        for _ in range(2):
            await _ask_now(ctx, db, view["id"])
            pay.clock.advance(minutes(2))


async def test_a_silent_answer_between_two_misses_makes_them_count_anew(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    await pay.fault(kind="timeout_before", method="payments/cards/charge", manner="close")
    view = await pay.pay(expect="unknown")
    pay.clock.advance(minutes(10))
    await _ask_now(ctx, db, view["id"])
    pay.clock.advance(minutes(2))
    await pay.fault(kind="http_500_before", method="payments/find")
    await _ask_now(ctx, db, view["id"])
    pay.clock.advance(minutes(2))
    await _ask_now(ctx, db, view["id"])
    assert (await pay.show(view["id"]))["status"] == "unknown"
    pay.clock.advance(minutes(2) - SECOND)
    await _ask_now(ctx, db, view["id"])
    assert (await pay.show(view["id"]))["status"] == "unknown"
    pay.clock.advance(SECOND)
    await _ask_now(ctx, db, view["id"])
    assert (await pay.show(view["id"]))["decline"]["code"] == "no-effect"


async def test_not_found_while_the_register_is_silent_decides_nothing(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    await pay.fault(kind="timeout_before", method="payments/cards/charge", manner="close")
    view = await pay.pay(expect="unknown")
    pay.clock.advance(timedelta(hours=1))
    await pay.fault(kind="http_500_before", method="v2/payments/list", count=2)
    for _ in range(2):
        await _ask_now(ctx, db, view["id"])
        pay.clock.advance(minutes(3))
    assert (await pay.show(view["id"]))["status"] == "unknown"
    for _ in range(2):
        await _ask_now(ctx, db, view["id"])
        pay.clock.advance(minutes(3))
    assert (await pay.show(view["id"]))["status"] == "failed"


@pytest.mark.parametrize(
    ("age", "status"), [(timedelta(hours=24) - SECOND, "unknown"), (timedelta(hours=24), "needs_review")]
)
async def test_the_ladder_ends_after_a_day(
    pay: Pay, ctx: Context, db: asyncpg.Pool, age: timedelta, status: str
) -> None:
    await pay.fault(kind="suppressed", webhook="pay")
    await pay.fault(kind="timeout_after", method="payments/cards/charge", manner="close")
    view = await pay.pay(expect="unknown")
    pay.clock.advance(age)
    await pay.fault(kind="http_500_before", method="payments/find")
    await _ask_now(ctx, db, view["id"])
    assert (await pay.show(view["id"]))["status"] == status
    reviewed = "payment.needs_review" in await event_types(db, view["id"])
    assert reviewed is (status == "needs_review")
