"""Maintenance goes through all that is due: what must wait and what is broken keep nobody else waiting."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.billing_api.commands.test_changing import subscriber
from tests.billing_api.commands.test_renewing import collect, outcome, run
from tests.billing_api.commands.test_staff import said


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    from billing_api.billing_service.commands import run_maintenance

    monkeypatch.setattr(run_maintenance, "BATCH", 2)


def maintain(world: Any) -> Any:
    from billing_api.billing_service.commands.run_maintenance import run_maintenance

    return run_maintenance(now=world.now)


def ticked() -> bool:
    from billing_api.billing_service.models import RunTick

    return RunTick.objects.filter(kind="maintenance").exists()


def test_more_than_a_page_is_moved_on_by_one_run(world, small_pages) -> None:
    trial, _ = world.product("trial", 49900, trial_days=14)
    for _ in range(5):
        world.buy(world.customer(), trial)
    world.pass_time(days=12)
    done = maintain(world)
    assert (done.trial_reminders, done.is_complete, ticked()) == (5, True, True)
    assert maintain(world).trial_reminders == 0


def test_endings_of_tomorrow_keep_no_ending_of_today_waiting(world, small_pages) -> None:
    """The one that is due is the last by account; before it stand two pages that end a day later."""
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription
    from billing_api.billing_service.commands.extend_subscription import extend_subscription

    started = [subscriber(world)[1] for _ in range(5)]
    due = max(started, key=lambda one: world.subscription(one).account_id)
    for one in started:
        if one is not due:
            extend_subscription(one.subscription_id, days=1, **said(world))
        cancel_subscription(one.subscription_id, now=world.now)
    world.now = datetime(2026, 4, 15, 9, tzinfo=UTC)
    done = maintain(world)
    assert (done.ended, done.is_complete) == (1, True)
    assert [world.subscription(one).status == "cancelled" for one in started] == [
        one is due for one in started
    ]


def test_a_long_patience_keeps_no_short_one_waiting(world, small_pages) -> None:
    """Day 21 by default, day 5 for one product: on day 6 that one is given up, and none of the others."""
    strict, _ = world.product(
        "strict", 10000, terms={"dunning_policy": {"cancel_day": 5, "soft_retry_days": [1]}}
    )
    started = [subscriber(world, **more)[1] for more in ({}, {}, {}, {"product_id": strict})]
    world.pass_time(days=32)
    run(world)
    for attempt in collect(world):
        customer = type("Owner", (), {"user_id": attempt.account.user_id})
        outcome(world, customer, attempt, "failed", decline="hard")
    world.pass_time(days=6)
    assert maintain(world).dunning_ended == 1
    assert [world.subscription(one).status for one in started] == ["past_due"] * 3 + ["cancelled"]
    world.pass_time(days=15)
    assert maintain(world).dunning_ended == 3


def test_what_is_wrong_with_one_account_stops_no_other(
    world, small_pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    from billing_api.billing_service import events

    trial, _ = world.product("trial", 49900, trial_days=14)
    started = [world.buy(world.customer(), trial) for _ in range(4)]
    broken, telling = started[0].subscription_id, events.tell_subscription

    def refuse(event_type: str, account: Any, subscription: Any, now: Any) -> None:
        if subscription.id == broken:
            raise ValueError("broken on purpose")
        telling(event_type, account, subscription, now)

    world.pass_time(days=12)
    with monkeypatch.context() as patched:
        patched.setattr(events, "tell_subscription", refuse)
        done = maintain(world)
    assert (done.trial_reminders, done.is_complete, ticked()) == (3, False, False)
    done = maintain(world)
    assert (done.trial_reminders, done.is_complete, ticked()) == (1, True, True)
