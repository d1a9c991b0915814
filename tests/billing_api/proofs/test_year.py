"""Eight months: a trial, a code, a dearer price, a pause, a change given back, an end; figures by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.money import Money
from tests.billing_api.commands.test_cancelling import cancel
from tests.billing_api.commands.test_renewing import collect, outcome, run


class Life:
    """One customer under a clock that stops once a day at noon in Moscow, all runs included."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.anna = world.customer()
        self.charged: list[tuple[str, int]] = []  # day of the charge, minor units
        self.declines: set[str] = set()

    def live_until(self, month: int, day: int) -> None:
        from billing_api.billing_service.commands.run_maintenance import run_maintenance
        from tests.billing_api.commands.test_changing import close_answers

        until = datetime(2026, month, day, 9, 0, tzinfo=UTC)
        while self.world.now < until:
            self.world.now += timedelta(days=1)
            run(self.world)
            run_maintenance(now=self.world.now)
            close_answers(self.world, "closed")
            for attempt in collect(self.world):
                today = f"{self.world.now:%d %b}"
                if today in self.declines:
                    outcome(self.world, self.anna, attempt, "failed", decline="soft")
                else:
                    outcome(self.world, self.anna, attempt)
                    self.charged.append((today, attempt.amount_minor))


def test_a_year_of_one_customer(world) -> None:
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription
    from billing_api.billing_service.commands.change_product import change_product
    from billing_api.billing_service.commands.pause_subscription import pause_subscription
    from billing_api.billing_service.commands.resume_subscription import resume_subscription
    from billing_api.billing_service.invariants import check_invariants
    from billing_api.billing_service.ledger_chain_proof import prove_ledger
    from billing_api.billing_service.line_proof import LineProof
    from billing_api.billing_service.models import CreditNote, Invoice
    from tests.billing_api.commands.world import events

    life = Life(world)
    monthly, price_id = world.product("monthly", 49900, trial_days=14)
    premium, _ = world.product("premium", 79900)
    world.promo_code(
        "WELCOME", kind="percentage", value=2000, duration_kind="repeating_invoices", duration_count=3
    )
    started = world.buy(life.anna, monthly, promo_code="welcome")  # 15 March, free until the 29th
    life.declines = {"29 Apr"}
    life.live_until(6, 5)
    # 20 % off three invoices: 399.20 each; the one of 29 April on the second day only.
    assert life.charged == [("29 Mar", 39920), ("30 Apr", 39920), ("29 May", 39920)]
    assert events().count("subscription.trial_will_end") == 1

    # On 5 June the admin sets 549.00 from 1 July; the period of 29 June began before it.
    world.product(
        "monthly", 49900, product_id=monthly, price_id=price_id, sequence=2,
        next_amount=Money(54900), valid_from=datetime(2026, 6, 30, 21, 0, tzinfo=UTC),
    )  # fmt: skip
    life.live_until(8, 5)
    assert life.charged[3:] == [("29 Jun", 49900), ("29 Jul", 54900)]
    assert events().count("subscription.price_will_change") == 1

    # 5 August: the 23 days after it up to the 29th are kept; given from 16 September to 9 October.
    pause_subscription(started.subscription_id, now=world.now)
    life.live_until(9, 16)
    assert not world.subscription(started).grants_access
    resume_subscription(started.subscription_id, now=world.now)
    assert str(world.subscription(started).period_end_on) == "2026-10-09"
    life.live_until(10, 19)
    assert life.charged[5:] == [("09 Oct", 54900)]

    # 19 October, 21 of 31 days left: 799.00 x 21/31 = 541.26 less 549.00 x 21/31 = 371.90.
    shown = change_product(started.subscription_id, product_id=premium, preview=True, now=world.now).offer
    changed = change_product(started.subscription_id, product_id=premium, now=world.now)
    invoice = world.invoice(changed.invoice_id)
    assert invoice.amount_due_minor == shown.amount_due.amount == 54126 - 37190 == 16936
    paid = world.payment(changed.invoice_id, life.anna.user_id)
    world.hear(paid)
    assert world.subscription(started).product_id == premium

    # 25 October: she takes the payment back; the old product holds again and nothing is owed.
    life.live_until(10, 25)
    made = cancel(world, paid)
    world.hear(world.refund(paid, cancellation_id=made.cancellation_id))
    assert (world.subscription(started).product_id, world.balance(life.anna)) == (monthly, 0)

    cancel_subscription(started.subscription_id, now=world.now)
    life.live_until(12, 1)
    subscription = world.subscription(started)
    assert (subscription.status, str(subscription.ended_on)) == ("cancelled", "2026-11-09")
    assert life.charged[6:] == []

    paid_minor = sum(Invoice.objects.values_list("paid_minor", flat=True))
    assert paid_minor == 3 * 39920 + 49900 + 2 * 54900 + 16936 == 296396
    assert [note.total_minor for note in CreditNote.objects.all()] == [16936]
    assert world.balance(life.anna) == 0
    assert [one.name for one in check_invariants() if not one.holds] == []
    assert prove_ledger().broken == ()
    assert list(LineProof().broken()) == []
