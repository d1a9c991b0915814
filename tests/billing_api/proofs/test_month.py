"""Months of one customer under a clock that is moved by hand: buys, renews, fails, recovers, leaves."""

from __future__ import annotations

from datetime import date, timedelta

from shared.clock import ManualClock
from tests.billing_api.commands.test_renewing import collect, outcome, run


def test_she_buys_renews_fails_recovers_and_leaves(world) -> None:
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.invariants import check_invariants
    from billing_api.billing_service.ledger_chain_proof import prove_ledger
    from billing_api.billing_service.line_proof import LineProof
    from billing_api.billing_service.models import Invoice
    from billing_api.billing_service.statement import make_statement
    from tests.billing_api.commands.world import events

    clock = ManualClock(world.now)

    def days_pass(days: int) -> None:
        while days:
            step = min(days, 10)
            days -= step
            clock.advance(timedelta(days=step))
            world.now = clock.now()
            run(world)
            run_maintenance(now=world.now)

    def standing() -> tuple[str, bool]:
        row = world.subscription(started)
        return row.status, row.grants_access

    anna = world.customer()
    started = world.buy(anna)  # 15 March
    assert standing() == ("incomplete", False)
    world.pay(started, anna)
    assert standing() == ("active", True)

    days_pass(31)  # 15 April: renewed, charged automatically
    (attempt,) = collect(world)
    outcome(world, anna, attempt)
    assert standing() == ("active", True)

    days_pass(30)  # 15 May: declined for want of money, full access during the grace
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="soft")
    assert standing() == ("past_due", True)
    assert collect(world) == []
    days_pass(1)
    (attempt,) = collect(world)
    outcome(world, anna, attempt)
    assert standing() == ("active", True)

    cancel_subscription(started.subscription_id, mode="period_end", now=world.now)
    assert world.subscription(started).cancel_at_period_end
    days_pass(31)  # 16 June: over, nothing more is invoiced
    assert standing() == ("cancelled", False)
    days_pass(31)
    assert Invoice.objects.filter(kind="renewal").count() == 2

    made = make_statement(anna.user_id, date(2026, 3, 1), date(2026, 7, 31))
    movements = list(made.movements)
    assert [one.kind for one in movements] == ["invoice", "payment"] * 3
    assert [one.at.date().isoformat() for one in movements] == [
        *("2026-03-15", "2026-03-15"),
        *("2026-04-15", "2026-04-15"),
        *("2026-05-15", "2026-05-16"),
    ]
    assert (made.opening_minor, made.charged_minor, made.credited_minor) == (0, 149_700, 149_700)
    assert made.closing_minor == world.balance(anna) == 0
    told = [one for one in events() if one.startswith("subscription.")]
    assert told == [
        "subscription.created",
        "subscription.activated",
        "subscription.renewed",
        "subscription.past_due",
        "subscription.renewed",
        "subscription.cancel_scheduled",
        "subscription.cancelled",
    ]
    assert [one.name for one in check_invariants() if not one.holds] == []
    assert prove_ledger().broken == ()
    assert list(LineProof().broken()) == []
