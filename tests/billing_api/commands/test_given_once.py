"""Paid days and the money for them are the customer's once, whatever is asked for on top of each other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.errors import AppError
from shared.money import Money
from tests.billing_api.commands.test_cancelling import cancel
from tests.billing_api.commands.test_changing import (
    change,
    change_row,
    close_answers,
    holds,
    maintain,
    pay,
    shop,
)
from tests.billing_api.commands.test_pausing import pause, resume
from tests.billing_api.commands.test_renewing import run
from tests.billing_api.commands.test_staff import said


def bought(world: Any) -> tuple[Any, Any, Any]:
    """499.00 for 11 April to 11 May, ten days ago."""
    shop(world)
    anna = world.customer()
    started = world.buy(anna)
    state = world.pay(started, anna)
    world.now = datetime(2026, 4, 21, 12, tzinfo=UTC)
    return anna, started, state


def test_a_period_that_is_not_paid_gives_nothing_back(world: Any) -> None:
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription

    anna, started, _ = bought(world)
    world.now = datetime(2026, 5, 13, 12, tzinfo=UTC)
    assert run(world)[1] == 1
    done = cancel_subscription(started.subscription_id, mode="now", refund_unused=True, now=world.now)
    assert (done.credited.amount, done.to_card.amount) == (0, 0)  # April was used to its end
    assert close_answers(world, "closed") == 1
    assert world.balance(anna) == 0
    holds()


def test_another_interval_from_the_first_day_on_is_no_second_invoice_for_it(world: Any) -> None:
    shop(world)
    anna = world.customer()
    started = world.buy(anna)
    world.pay(started, anna)
    change(world, started, world.week)  # 199.00 less 499.00: a week, and the rest is balance
    assert world.subscription(started).product_id == world.week
    world.pass_time(days=7)
    assert run(world)[1] == 1
    holds()


@pytest.mark.parametrize("by", ["customer", "staff", "provider", "credit note"])
def test_a_change_does_not_credit_money_that_goes_back(world: Any, by: str) -> None:
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from billing_api.billing_service.commands.refund_payment import refund_payment

    anna, started, state = bought(world)
    changed = change(world, started, world.premium)
    asked: dict[str, Any] = {}
    match by:
        case "customer":
            asked["cancellation_id"] = cancel(world, state).cancellation_id
        case "staff":
            asked["refund_order_id"] = refund_payment(state.payment_id, Money(20000), **said(world)).order_id
        case "provider":
            world.hear(world.refund(state, 20000))
        case _:
            adjust_charge(started.invoice_id, Money(-20000), **said(world))
    assert change_row(started).state == "lapsed"
    if by in ("customer", "staff"):
        with pytest.raises(AppError, match="cancellation-open"):
            change(world, started, world.premium, preview=True)
    paid = pay(world, anna, changed)  # it was on its way: 532.67 - 332.67
    assert world.subscription(started).product_id == world.basic
    if asked:
        world.hear(world.refund(state, 49900 if by == "customer" else 20000, **asked))
    assert world.subscription(started).status == ("cancelled" if by == "customer" else "active")
    assert world.available(anna) == paid.captured.amount + (20000 if by == "credit note" else 0)
    if by != "customer":
        lines = change(world, started, world.premium, preview=True).offer.quote.lines
        assert [line.amount_minor for line in lines] == [53267, -19933]  # of 299.00
    holds()


def test_the_day_of_a_pause_is_not_had_again(world: Any) -> None:
    _, started, _ = bought(world)
    before = world.subscription(started)
    for _ in range(3):
        pause(world, started)
        resume(world, started)  # on the same day nothing has happened
    same = world.subscription(started)
    assert (same.anchor_on, same.next_number, same.access_until) == (
        before.anchor_on,
        before.next_number,
        before.access_until,
    )
    for _ in range(3):
        world.now = world.now.replace(hour=20, minute=59)  # a minute before midnight in Moscow
        pause(world, started)
        world.pass_time(minutes=2)
        resume(world, started)
        world.pass_time(hours=12)
    assert world.subscription(started).paid_through_on == before.paid_through_on
    holds()


def test_a_trial_made_longer_is_reminded_of_again(world: Any) -> None:
    from billing_api.billing_service.commands.extend_subscription import extend_subscription
    from tests.billing_api.commands.world import events

    product, _ = world.product("trial", 49900, trial_days=14)
    started = world.buy(world.customer(), product)
    for _ in range(2):
        world.pass_time(days=12)
        maintain(world)
        extend_subscription(started.subscription_id, days=12, **said(world))
    assert events().count("subscription.trial_will_end") == 2
    ends_at = world.subscription(started).trial_ends_at
    world.pass_time(days=15)
    run(world)
    extend_subscription(started.subscription_id, days=5, **said(world))  # of the month that came after it
    assert world.subscription(started).trial_ends_at == ends_at
    holds()


def test_days_of_a_change_credited_whole_are_worth_what_paid_before_it(world: Any) -> None:
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription

    _, started, _ = bought(world)
    asked = change(world, started, world.premium)
    adjust_charge(asked.invoice_id, Money(-20000), **said(world))
    assert world.subscription(started).product_id == world.premium
    down = adjust_charge(started.invoice_id, Money(-49900), preview=True, **said(world))
    assert down.credited_already == Money(0)
    done = cancel_subscription(started.subscription_id, mode="now", refund_unused=True, now=world.now)
    assert done.credited == Money(33267)  # 20 of 30 days
    holds()
