"""Pause and resume: no invoices meanwhile, the paid days are kept, access accordingly."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.errors import AppError
from tests.billing_api.commands.test_changing import change, holds, pay, shop, subscriber
from tests.billing_api.commands.test_renewing import collect, outcome, run


def pause(world, started):
    from billing_api.billing_service.commands.pause_subscription import pause_subscription

    return pause_subscription(started.subscription_id, now=world.now)


def resume(world, started):
    from billing_api.billing_service.commands.resume_subscription import resume_subscription

    return resume_subscription(started.subscription_id, now=world.now)


def test_a_pause_keeps_the_days_and_bills_nothing(world) -> None:
    from tests.billing_api.commands.world import event_data, events

    shop(world)
    anna, started = subscriber(world)
    world.now = datetime(2026, 4, 21, 12, tzinfo=UTC)
    assert pause(world, started).remaining_days == 19
    told = event_data("subscription.paused")[-1]
    assert (told["grants_access"], told["status"], told["next_invoice_at"]) == (False, "paused", None)
    with pytest.raises(AppError, match="subscription-transition-refused"):
        pause(world, started)
    world.pass_time(days=100)
    assert run(world) == (None, 0)
    resume(world, started)
    subscription = world.subscription(started)
    assert (str(subscription.period_start_on), str(subscription.period_end_on)) == (
        "2026-07-30",
        "2026-08-18",
    )
    assert events()[-1] == "subscription.resumed"
    assert subscription.grants_access
    with pytest.raises(AppError, match="subscription-transition-refused"):
        resume(world, started)
    world.pass_time(days=19)
    assert run(world)[1] == 1
    (attempt,) = collect(world)
    outcome(world, anna, attempt)
    assert str(world.subscription(started).period_end_on) == "2026-09-18"
    holds()


def test_the_kept_days_are_still_worth_what_was_paid(world) -> None:
    shop(world)
    anna, started = subscriber(world)
    world.pass_time(days=10)
    pause(world, started)
    world.pass_time(days=30)
    resume(world, started)
    world.pass_time(days=5)
    quote = change(world, started, world.premium, preview=True).offer.quote
    assert [line.amount_minor for line in quote.lines] == [37287, -23287]  # 14 of 30 days
    pay(world, anna, change(world, started, world.premium))
    holds()


def test_a_change_for_the_period_end_follows_a_pause(world) -> None:
    from billing_api.billing_service import queries

    shop(world)
    _, started = subscriber(world)
    change(world, started, world.lite)
    pause(world, started)
    world.pass_time(days=10)
    resume(world, started)
    view = queries.subscription_view(world.subscription(started))
    assert view["pending_change"]["effective_on"] == view["current_period"]["end"] == "2026-05-20"


def test_an_unpaid_change_refuses_a_pause(world) -> None:
    shop(world)
    _, started = subscriber(world)
    change(world, started, world.premium)
    with pytest.raises(AppError, match="pending-change-open"):
        pause(world, started)


def test_cancelled_now_while_paused_gives_back_the_days_that_were_kept(world) -> None:
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription

    def cancel(preview: bool):
        return cancel_subscription(
            started.subscription_id, mode="now", refund_unused=True, preview=preview, now=world.now
        )

    shop(world)
    _, started = subscriber(world)  # 499.00 for the 30 days from 11 April
    world.pass_time(days=10)
    paused_on = cancel(preview=True)
    pause(world, started)
    assert cancel(preview=True).credited == paused_on.credited
    world.pass_time(days=25)
    shown = cancel(preview=True)
    done = cancel(preview=False)
    assert (shown.credited, shown.to_card) == (done.credited, done.to_card)
    assert done.credited.amount == done.to_card.amount == 31603  # 19 of 30 days, half up
    assert world.subscription(started).status == "cancelled"
    holds()
