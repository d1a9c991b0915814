"""A change of product given back whole: what was paused or extended since stays the customer's."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.money import Money
from tests.billing_api.commands.test_changing import change, change_row, holds, pay, shop, subscriber
from tests.billing_api.commands.test_pausing import pause, resume
from tests.billing_api.commands.test_renewing import run
from tests.billing_api.commands.test_staff import said


def changed_on_12_april(world: Any, product: str) -> Any:
    """A basic month 11 Apr-11 May, changed a day later; the account, the subscription, the payment."""
    shop(world)
    anna, started = subscriber(world)
    world.now = datetime(2026, 4, 12, 12, tzinfo=UTC)
    return anna, started, pay(world, anna, change(world, started, getattr(world, product)))


def dates(world: Any, started: Any) -> tuple[date | None, date | None, date | None]:
    row = world.subscription(started)
    return row.period_start_on, row.period_end_on, row.paid_through_on


def test_a_pause_made_since_is_kept_and_its_time_is_not_billed(world: Any) -> None:
    _, started, state = changed_on_12_april(world, "premium")
    world.now = datetime(2026, 4, 13, 12, tzinfo=UTC)
    pause(world, started)
    world.pass_time(days=70)
    resume(world, started)
    world.hear(world.refund(state))
    assert world.subscription(started).product_id == world.basic
    assert dates(world, started) == (date(2026, 6, 22), date(2026, 7, 19), date(2026, 7, 19))
    assert run(world) == (None, 0)
    holds()


@pytest.mark.parametrize("product", ["premium", "year"])
def test_days_that_staff_gave_since_are_kept(world: Any, product: str) -> None:
    from billing_api.billing_service.commands.extend_subscription import extend_subscription

    _, started, state = changed_on_12_april(world, product)
    extend_subscription(started.subscription_id, days=30, **said(world))
    world.hear(world.refund(state))
    assert world.subscription(started).product_id == world.basic
    assert dates(world, started) == (date(2026, 4, 11), date(2026, 6, 10), date(2026, 6, 10))
    world.now = datetime(2026, 6, 11, 12, tzinfo=UTC)
    assert run(world)[1] == 1
    assert dates(world, started)[:2] == (date(2026, 6, 10), date(2026, 7, 10))
    holds()


@pytest.mark.parametrize(("product", "end"), [("premium", date(2026, 6, 10)), ("year", date(2027, 5, 12))])
def test_days_that_staff_gave_while_the_change_waited_are_kept(world: Any, product: str, end: date) -> None:
    from billing_api.billing_service.commands.extend_subscription import extend_subscription

    shop(world)
    anna, started = subscriber(world)
    world.now = datetime(2026, 4, 12, 12, tzinfo=UTC)
    asked = change(world, started, getattr(world, product))
    extend_subscription(started.subscription_id, days=30, **said(world))
    state = pay(world, anna, asked)
    assert world.subscription(started).product_id == getattr(world, product)
    assert dates(world, started)[1:] == (end, end)
    world.hear(world.refund(state))
    assert world.subscription(started).product_id == world.basic
    assert dates(world, started) == (date(2026, 4, 11), date(2026, 6, 10), date(2026, 6, 10))
    holds()


def test_a_pause_moves_the_month_that_another_interval_gives_back(world: Any) -> None:
    _, started, state = changed_on_12_april(world, "year")
    world.now = datetime(2026, 4, 13, 12, tzinfo=UTC)
    pause(world, started)
    world.pass_time(days=70)
    resume(world, started)
    world.hear(world.refund(state))
    assert dates(world, started) == (date(2026, 6, 22), date(2026, 7, 19), date(2026, 7, 19))
    assert run(world) == (None, 0)
    holds()


@pytest.mark.parametrize("product", ["premium", "year"])
def test_a_pause_that_lasts_keeps_the_days_of_the_old_product(world: Any, product: str) -> None:
    _, started, state = changed_on_12_april(world, product)
    world.now = datetime(2026, 4, 13, 12, tzinfo=UTC)
    pause(world, started)
    world.hear(world.refund(state))
    row = world.subscription(started)
    assert (row.status, row.remaining_days, row.grants_access) == ("paused", 27, False)
    assert (row.product_id, change_row(started).state) == (world.basic, "undone")
    world.pass_time(days=70)
    resume(world, started)
    assert dates(world, started) == (date(2026, 6, 22), date(2026, 7, 19), date(2026, 7, 19))
    holds()


def test_nothing_stands_on_what_was_given_back_before_the_change_was(world: Any) -> None:
    from billing_api.billing_service.commands.refund_payment import refund_payment

    def ends(state: Any) -> bool:
        return refund_payment(
            state.payment_id, Money(state.captured.amount), preview=True, **said(world)
        ).ends_subscription

    shop(world)
    anna = world.customer()
    started = world.buy(anna)
    paid = [world.pay(started, anna)]
    world.now = datetime(2026, 4, 12, 12, tzinfo=UTC)
    for product in (world.premium, world.product("best", 99900)[0], world.product("all", 119900)[0]):
        paid.append(pay(world, anna, change(world, started, product)))
    first, premium, best, last = paid
    assert [ends(state) for state in paid] == [False] * 4
    world.hear(world.refund(best))
    world.hear(world.refund(last))
    assert world.subscription(started).product_id == world.premium
    world.hear(world.refund(first))
    assert world.subscription(started).status == "active"
    assert ends(premium)
    world.hear(world.refund(premium))
    row = world.subscription(started)
    assert (row.status, row.grants_access, world.balance(anna)) == ("cancelled", False, 0)
    holds()
