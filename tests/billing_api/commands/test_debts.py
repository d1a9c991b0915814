"""Money that was spent before it went back: it is asked for by an invoice of its own that sells nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.errors import AppError
from shared.money import Money
from tests.billing_api.commands.test_changing import close_answers, holds
from tests.billing_api.commands.test_renewing import run
from tests.billing_api.commands.test_staff import bought, said


def debts() -> list[Any]:
    from billing_api.billing_service.models import Invoice

    return list(Invoice.objects.filter(kind="debt").order_by("id"))


def findings() -> list[tuple[str, bool]]:
    from billing_api.billing_service.models import ReviewItem

    found = ReviewItem.objects.filter(kind="debt_after_refund").order_by("found_at", "id")
    return [(str(one.subject_id), one.resolved_at is None) for one in found]


def spent_twice_paid(world: Any) -> tuple[Any, Any]:
    """499.00 paid twice; the second 499.00 became balance and paid the renewal."""
    anna, started, _ = bought(world)
    again = world.payment(started.invoice_id, anna.user_id, amount=49900)
    world.hear(again)
    world.pass_time(days=31)
    run(world)
    assert (world.balance(anna), world.available(anna)) == (0, 0)
    return anna, again


def test_an_overpayment_spent_and_then_refunded_is_asked_for(world) -> None:
    from billing_api.billing_service import queries
    from billing_api.billing_service.domain import ledger
    from billing_api.billing_service.posting import transaction_id
    from billing_api.billing_service.queries.invoice_proof import invoice_proof_view
    from tests.billing_api.commands.world import event_data, events

    anna, again = spent_twice_paid(world)
    sold = len(events())
    changed = world.refund(again, origin="provider")
    world.hear(changed)
    (debt,) = debts()
    assert (debt.status, debt.total_minor, debt.vat_minor, debt.amount_due_minor) == ("open", 0, 0, 49900)
    assert (debt.subscription_id, debt.collects_automatically) == (None, False)
    assert debt.number == "2026-000003"
    assert events()[sold:] == ["invoice.issued"]
    told = event_data("invoice.issued")[-1]
    assert (told["kind"], told["amount_due"]["amount"]) == ("debt", 49900)
    # Nothing was sold: no revenue, no VAT. The refund itself is what is owed.
    assert transaction_id(ledger.SourceKind.INVOICE, debt.id) is None
    assert (world.balance(anna), world.available(anna)) == (-49900, 0)
    assert findings() == [(str(debt.id), True)]
    view = queries.invoice_view(debt)
    assert view["explanation"]["ru"][1].startswith("Долг лицевого счёта: 499,00")
    assert view["lines"][0]["description"]["en"].startswith("Debt of the personal account: the payment of 15")
    assert invoice_proof_view(debt)["agrees"]
    holds()

    world.hear(changed)  # twice
    assert len(debts()) == 1
    world.hear(world.payment(debt.id, anna.user_id))
    assert (debts()[0].status, world.balance(anna)) == ("paid", 0)
    assert findings() == [(str(debt.id), False)]
    holds()


def test_what_is_not_spent_goes_first(world) -> None:
    from billing_api.billing_service.commands.grant_goodwill import grant_goodwill

    anna, again = spent_twice_paid(world)
    grant_goodwill(anna.user_id, Money(20000), **said(world))
    part = world.refund(again, 15000, origin="provider")
    world.hear(part)
    assert debts() == []
    assert world.available(anna) == 5000
    world.hear(world.refund(part, 10000, origin="provider"))
    assert [one.amount_due_minor for one in debts()] == [5000]
    assert world.available(anna) == 0
    holds()


def test_each_further_part_is_asked_for_once(world) -> None:
    _, again = spent_twice_paid(world)
    first = world.refund(again, 10000, origin="provider")
    second = world.refund(first, 39900, origin="provider")
    world.hear(first)
    world.hear(second)
    world.hear(second, 2)
    assert [one.amount_due_minor for one in debts()] == [10000, 39900]
    assert [is_open for _, is_open in findings()] == [True, True]
    holds()


def test_money_that_comes_later_for_something_else_does_not_hide_the_debt(world) -> None:
    from billing_api.billing_service.commands.grant_goodwill import grant_goodwill

    anna, again = spent_twice_paid(world)
    world.hear(world.refund(again, origin="provider"))
    grant_goodwill(anna.user_id, Money(10000), **said(world))
    # As with every invoice: balance pays the next one, this one waits for its payer.
    assert (world.available(anna), debts()[0].amount_due_minor) == (10000, 49900)
    holds()


def test_a_debt_is_written_off_and_neither_voided_nor_adjusted(world) -> None:
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from billing_api.billing_service.commands.void_invoice import void_invoice
    from billing_api.billing_service.commands.write_off import write_off

    anna, again = spent_twice_paid(world)
    world.hear(world.refund(again, origin="provider"))
    (debt,) = debts()
    for preview in (True, False):
        with pytest.raises(AppError, match="debt-not-voidable"):
            void_invoice(debt.id, preview=preview, **said(world))
        for change in (-1, 1):
            with pytest.raises(AppError, match="debt-not-adjustable"):
                adjust_charge(debt.id, Money(change), preview=preview, **said(world))
    assert write_off(debt.id, **said(world)).amount == Money(49900)
    assert (world.balance(anna), findings()) == (0, [(str(debt.id), False)])
    holds()


def test_a_debt_that_is_paid_and_refunded_is_owed_again(world) -> None:
    from billing_api.billing_service.commands.cancel_payment import PaymentSeen, cancel_payment

    anna, again = spent_twice_paid(world)
    world.hear(world.refund(again, origin="provider"))
    (debt,) = debts()
    paid = world.payment(debt.id, anna.user_id)
    world.hear(paid)
    seen = PaymentSeen(paid.payment_id, anna.user_id, debt.id, "succeeded", 49900, 0)
    with pytest.raises(AppError) as refused:
        cancel_payment(seen, now=world.now)
    assert refused.value.extra["rule"] == "paid-a-debt"
    world.hear(world.refund(paid, 9900, origin="provider"))
    assert [(one.status, one.amount_due_minor) for one in debts()] == [("paid", 0), ("open", 9900)]
    holds()


def test_a_part_of_a_debt_paid_and_refunded_is_due_again(world) -> None:
    anna, again = spent_twice_paid(world)
    world.hear(world.refund(again, origin="provider"))
    part = world.payment(debts()[0].id, anna.user_id, amount=10000)
    world.hear(part)
    assert debts()[0].amount_due_minor == 39900
    world.hear(world.refund(part, origin="provider"))
    assert [one.amount_due_minor for one in debts()] == [49900]
    holds()


def test_a_debt_is_overdue_like_any_invoice_and_ends_nothing(world) -> None:
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from tests.billing_api.commands.world import event_data, events

    _, again = spent_twice_paid(world)
    world.hear(world.refund(again, origin="provider"))
    world.pass_time(days=8)
    run_maintenance(now=world.now)
    assert debts()[0].collection == "overdue"
    assert event_data("invoice.overdue")[0]["kind"] == "debt"
    assert "subscription.cancelled" not in events()


def test_a_refund_and_a_payment_at_the_same_moment(world) -> None:
    """Whichever is first: what is left is asked for, once, and nothing is owed beside it."""
    from django.db import connections

    for _ in range(5):
        anna, again = spent_twice_paid(world)
        before = len(debts())
        refunded = world.refund(again, origin="provider")
        other = world.payment(None, anna.user_id, amount=20000)

        def hear(state: Any, sequence: int) -> None:
            from billing_api.billing_service.commands.apply_payment_event import apply_payment_event

            try:
                apply_payment_event(state, sequence=sequence, now=world.now)
            finally:
                connections["billing"].close()

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda one: hear(*one), [(refunded, 2), (other, 1)] * 3))
        (debt,) = debts()[before:]
        # The payment first: 200.00 of the refund were still there. The refund first: they came to spend.
        assert (debt.amount_due_minor, world.available(anna)) in ((29900, 0), (49900, 20000))
        assert world.balance(anna) == -29900
    holds()


def test_a_refund_on_its_way_holds_its_money(world) -> None:
    """Ordered by staff, not yet carried out: the next invoice does not spend it, so nobody owes anything."""
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.refund_payment import refund_payment
    from billing_api.billing_service.commands.settle_refund_answer import settle_refund_answer

    anna, started, _ = bought(world)
    again = world.payment(started.invoice_id, anna.user_id, amount=49900)
    world.hear(again)
    order = refund_payment(again.payment_id, Money(30000), **said(world)).order_id
    assert (world.balance(anna), world.available(anna)) == (49900, 19900)
    settle_refund_answer(order, OrderAnswer("accepted"), now=world.now)
    world.pass_time(days=31)
    run(world)
    assert world.available(anna) == 0
    world.hear(world.refund(again, 30000, refund_order_id=order))
    assert debts() == []
    assert world.balance(anna) == -30000  # what the renewal asks for
    holds()


def test_staff_see_before_which_debt_a_refund_leaves(world) -> None:
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from billing_api.billing_service.commands.grant_goodwill import grant_goodwill
    from billing_api.billing_service.commands.refund_payment import refund_payment

    anna, again = spent_twice_paid(world)
    grant_goodwill(anna.user_id, Money(9900), **said(world))

    def foretold(payment_id: Any, amount: int) -> int:
        preview = refund_payment(payment_id, Money(amount), preview=True, **said(world))
        return preview.debt.amount

    assert [foretold(again.payment_id, amount) for amount in (9900, 10000, 49900)] == [0, 100, 40000]
    order = refund_payment(again.payment_id, Money(49900), **said(world))
    world.hear(world.refund(again, refund_order_id=order.order_id))
    assert [one.amount_due_minor for one in debts()] == [order.debt.amount] == [40000]

    # A credit that was spent: 100.00 of the first invoice were credited and paid a part of the renewal.
    _, started, state = bought(world)
    adjust_charge(started.invoice_id, Money(-10000), **said(world))
    world.pass_time(days=31)
    run(world)
    assert [foretold(state.payment_id, amount) for amount in (39900, 49900)] == [0, 10000]
    world.hear(world.refund(state, origin="provider"))
    assert debts()[-1].amount_due_minor == 10000
    holds()


def test_a_refused_refund_lets_its_money_go(world) -> None:
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.refund_payment import refund_payment
    from billing_api.billing_service.commands.settle_refund_answer import settle_refund_answer

    anna, started, _ = bought(world)
    again = world.payment(started.invoice_id, anna.user_id, amount=49900)
    world.hear(again)
    order = refund_payment(again.payment_id, Money(49900), **said(world)).order_id
    assert world.available(anna) == 0
    settle_refund_answer(order, OrderAnswer("refused", code="payment-not-refundable"), now=world.now)
    assert world.available(anna) == 49900


def test_the_money_of_unused_days_is_held_until_it_went_back(world) -> None:
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription

    anna, started, _ = bought(world)
    cancel_subscription(started.subscription_id, mode="now", refund_unused=True, now=world.now)
    assert world.balance(anna) > 0
    assert world.available(anna) == 0
    bought_again = world.buy(anna, world.film)
    assert world.invoice(bought_again.invoice_id).balance_applied_minor == 0
    holds()
    assert close_answers(world, "closed") == 0
