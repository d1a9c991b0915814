"""A fixed number of periods: from the catalogue's price to the end without a renewal."""

from __future__ import annotations

from datetime import date

import pytest

from shared.errors import AppError
from tests.billing_api.commands.test_renewing import collect, outcome, run


def _iso(moment) -> str:
    return moment.isoformat()[:16]


def test_a_term_of_three_months_ends_by_itself_with_bare_access(world) -> None:
    """Three invoices, no fourth, ``expired`` at the end of the third period, access to the bare end of it."""
    from billing_api.billing_service import queries
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.invariants import check_invariants
    from billing_api.billing_service.models import Invoice
    from tests.billing_api.commands.world import event_data, events

    season, _ = world.product("season", 39900, term_periods=3)
    anna = world.customer()
    started = world.buy(anna, season)
    world.pay(started, anna)
    view = queries.subscription_view(world.subscription(started))
    assert (view["term_periods"], view["periods_billed"]) == (3, 1)
    # 15 Apr in Moscow and three days of grace: the term goes on.
    assert _iso(world.subscription(started).access_until) == "2026-04-17T21:00"
    for _month in (1, 2):
        world.pass_time(days=31)
        assert run(world)[1] == 1
        (attempt,) = collect(world)
        outcome(world, anna, attempt)
    subscription = world.subscription(started)
    assert (subscription.periods_billed, subscription.next_invoice_at) == (3, None)
    assert _iso(subscription.access_until) == "2026-06-14T21:00", "the bare end of the last period"

    world.pass_time(days=40)
    assert run(world) == (None, 0)
    assert run_maintenance(now=world.now).ended == 1
    subscription = world.subscription(started)
    assert (subscription.status, subscription.ended_on) == ("expired", date(2026, 6, 15))
    assert Invoice.objects.count() == 3
    assert set(Invoice.objects.values_list("status", flat=True)) == {"paid"}
    assert events()[-1] == "subscription.expired"
    told = event_data("subscription.expired")[-1]
    assert (told["term_periods"], told["periods_billed"], told["grants_access"]) == (3, 3, False)
    assert run_maintenance(now=world.now).ended == 0
    assert [one.name for one in check_invariants() if not one.holds] == []
    # What is over may be bought again.
    assert world.buy(anna, season).is_new


def test_the_last_period_keeps_its_grace_until_it_is_paid(world) -> None:
    season, _ = world.product("season", 39900, term_periods=2)
    anna = world.customer()
    started = world.buy(anna, season)
    world.pay(started, anna)
    world.pass_time(days=31)
    run(world)
    assert _iso(world.subscription(started).access_until) == "2026-04-17T21:00", "paid through 15 Apr + grace"
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="soft")
    assert world.subscription(started).status == "past_due"
    assert _iso(world.subscription(started).access_until) == "2026-04-17T21:00"
    world.pay(type(started)(started.subscription_id, attempt.invoice_id, False), anna)
    assert world.subscription(started).status == "active"
    assert _iso(world.subscription(started).access_until) == "2026-05-14T21:00"


def test_a_term_of_one_period_never_renews_and_says_so(world) -> None:
    from billing_api.billing_service import queries
    from billing_api.billing_service.commands.quote_price import quote_price

    once, _ = world.product("once", 29900, term_periods=1)
    anna = world.customer()
    view = queries.quote_view(quote_price(anna, product_id=once, now=world.now).offer)
    assert (view["term_periods"], view["renews_at"], view["next_total"]) == (1, None, None)
    started = world.buy(anna, once)
    world.pay(started, anna)
    assert _iso(world.subscription(started).access_until) == "2026-04-14T21:00"
    assert world.subscription(started).next_invoice_at is None


def test_a_trial_is_not_counted_into_the_term(world) -> None:
    season, _ = world.product("season", 39900, term_periods=1, trial_days=7)
    anna = world.customer()
    started = world.buy(anna, season)
    assert world.subscription(started).periods_billed == 0
    world.pass_time(days=7)
    assert run(world)[1] == 1
    (attempt,) = collect(world)
    outcome(world, anna, attempt)
    subscription = world.subscription(started)
    assert (subscription.status, subscription.periods_billed) == ("active", 1)
    assert _iso(subscription.access_until) == "2026-04-21T21:00"


def test_a_change_takes_the_new_term_and_a_refund_gives_the_old_one_back(world) -> None:
    """The running period is the first of the new term; no term: it renews until it is cancelled."""
    from billing_api.billing_service.commands.change_product import change_product

    season, _ = world.product("season", 39900, term_periods=3)
    premium, _ = world.product("premium", 79900, term_periods=6)
    anna = world.customer()
    started = world.buy(anna, season)
    world.pay(started, anna)
    world.pass_time(days=5)
    changed = change_product(started.subscription_id, product_id=premium, now=world.now)
    state = world.payment(changed.invoice_id, anna.user_id)
    world.hear(state)
    subscription = world.subscription(started)
    assert (subscription.term_periods, subscription.periods_billed) == (6, 1)
    world.hear(world.refund(state))
    subscription = world.subscription(started)
    assert (subscription.term_periods, subscription.periods_billed, subscription.product_id) == (3, 1, season)
    endless = change_product(
        started.subscription_id, product_id=world.product("vip", 99900)[0], now=world.now
    )
    world.hear(world.payment(endless.invoice_id, anna.user_id))
    assert world.subscription(started).term_periods is None


def test_a_cheaper_product_for_the_end_of_the_last_period_is_refused(world) -> None:
    from billing_api.billing_service.commands.change_product import change_product

    season, _ = world.product("season", 39900, term_periods=1)
    small, _ = world.product("small", 19900)
    anna = world.customer()
    started = world.buy(anna, season)
    world.pay(started, anna)
    with pytest.raises(AppError, match="fixed term ends"):
        change_product(started.subscription_id, product_id=small, now=world.now)


def test_a_boundary_change_counts_its_term_from_the_next_period(world) -> None:
    from billing_api.billing_service.commands.change_product import change_product

    small, _ = world.product("small", 19900, term_periods=2)
    anna = world.customer()
    started = world.buy(anna)
    world.pay(started, anna)
    change_product(started.subscription_id, product_id=small, now=world.now)
    for _month in (1, 2):
        world.pass_time(days=31)
        assert run(world)[1] == 1
        (attempt,) = collect(world)
        outcome(world, anna, attempt)
    subscription = world.subscription(started)
    assert (subscription.term_periods, subscription.periods_billed) == (3, 3)
    assert subscription.next_invoice_at is None
    world.pass_time(days=31)
    assert run(world) == (None, 0)


def test_the_last_period_of_a_short_term_is_not_given_away(world) -> None:
    """Three days at 100.00: the third is declined on its day, retried after its end, and ends the term."""
    from billing_api.billing_service.models import Invoice
    from shared.period import IntervalUnit
    from tests.billing_api.commands.test_changing import holds, maintain

    days, _ = world.product("days", 10000, interval=IntervalUnit.DAY, term_periods=3)
    anna = world.customer()
    started = world.buy(anna, days)
    world.pay(started, anna)
    for told in ((), ("failed",)):
        world.pass_time(days=1)
        run(world)
        (attempt,) = collect(world)
        outcome(world, anna, attempt, *told, **({"decline": "soft"} if told else {}))
    world.pass_time(days=1)
    assert maintain(world).ended == 0
    assert world.subscription(started).status == "past_due"
    (attempt,) = collect(world)
    outcome(world, anna, attempt)
    assert set(Invoice.objects.values_list("status", flat=True)) == {"paid"}
    assert maintain(world).ended == 1
    assert world.subscription(started).status == "expired"
    holds()


def test_the_last_period_nobody_pays_is_left_to_dunning(world) -> None:
    """A term over during an outage of 100 days: its missed periods are asked for, then written off."""
    from billing_api.billing_service.models import Invoice
    from tests.billing_api.commands.test_changing import close_answers, holds, maintain

    season, _ = world.product("season", 39900, term_periods=3)
    anna = world.customer()
    started = world.buy(anna, season)
    world.pay(started, anna)
    world.pass_time(days=100)
    assert run(world)[1] == 2
    assert maintain(world).ended == 0
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="hard")
    world.pass_time(days=21)
    assert maintain(world).dunning_ended == 1
    assert close_answers(world, "closed") == 2
    assert world.subscription(started).status == "cancelled"
    assert sorted(Invoice.objects.values_list("status", flat=True)) == ["paid", *["uncollectible"] * 2]
    holds()
