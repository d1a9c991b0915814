"""Money of a part payment given back: what is due rises again, and no more is credited than was paid."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.money import Money
from tests.billing_api.commands.test_changing import close_answers, holds
from tests.billing_api.commands.test_staff import said
from tests.billing_api.commands.test_voiding import void


def part_paid(world: Any, amount_minor: int = 10000) -> tuple[Any, Any, Any]:
    """A first invoice of 499.00 towards which a bank transfer came."""
    anna = world.customer()
    started = world.buy(anna)
    state = world.payment(started.invoice_id, anna.user_id, amount=amount_minor, provider="bank_transfer")
    world.hear(state)
    return anna, started, state


def stands(world: Any, started: Any) -> tuple[str, str, int, int, int]:
    row = world.invoice(started.invoice_id)
    return row.status, row.collection, row.paid_minor, row.amount_due_minor, row.credited_minor


def test_a_part_payment_refunded_whole_is_due_again(world) -> None:
    from billing_api.billing_service.commands.refund_payment import refund_payment
    from billing_api.billing_service.commands.run_maintenance import run_maintenance

    anna, started, state = part_paid(world)
    assert stands(world, started) == ("open", "partially_paid", 10000, 39900, 0)
    assert not refund_payment(state.payment_id, Money(10000), preview=True, **said(world)).ends_subscription
    world.hear(world.refund(state))
    assert stands(world, started) == ("open", "none", 0, 49900, 0)
    assert world.subscription(started).status == "incomplete"
    assert (world.balance(anna), world.available(anna)) == (-49900, 0)
    holds()

    world.pass_time(hours=24)
    run_maintenance(now=world.now)
    assert close_answers(world, "closed") == 1
    assert world.invoice(started.invoice_id).status == "void"
    assert (world.balance(anna), world.available(anna)) == (0, 0)
    holds()


def test_a_part_of_a_part_payment_refunded_is_due_again(world) -> None:
    anna, started, state = part_paid(world)
    changed = world.refund(state, 5000)
    world.hear(changed)
    world.hear(changed)
    assert stands(world, started) == ("open", "partially_paid", 5000, 44900, 0)
    assert (world.balance(anna), world.available(anna)) == (-44900, 0)
    holds()

    world.pay(started, anna)
    assert stands(world, started) == ("paid", "none", 49900, 0, 0)
    assert world.subscription(started).status == "active"
    assert (world.balance(anna), world.available(anna)) == (0, 0)
    holds()


def test_a_part_payment_refunded_after_the_rest_was_paid_credits_its_own_part(world) -> None:
    from billing_api.billing_service.commands.refund_payment import refund_payment

    anna, started, transfer = part_paid(world)
    card = world.pay(started, anna)
    assert not refund_payment(
        transfer.payment_id, Money(10000), preview=True, **said(world)
    ).ends_subscription
    world.hear(world.refund(transfer))
    assert stands(world, started) == ("paid", "none", 49900, 0, 10000)
    assert world.subscription(started).status == "active"
    assert (world.balance(anna), world.available(anna)) == (0, 0)
    holds()

    assert refund_payment(card.payment_id, Money(39900), preview=True, **said(world)).ends_subscription
    world.hear(world.refund(card))
    assert stands(world, started) == ("paid", "none", 49900, 0, 49900)
    assert world.subscription(started).status == "cancelled"
    assert (world.balance(anna), world.available(anna)) == (0, 0)
    holds()


def test_a_part_payment_is_refunded_of_an_invoice_credited_in_part(world) -> None:
    from billing_api.billing_service.commands.adjust_charge import adjust_charge

    anna, started, state = part_paid(world)
    adjust_charge(started.invoice_id, Money(-5000), **said(world))
    world.hear(world.refund(state))
    assert stands(world, started) == ("open", "none", 0, 44900, 5000)
    holds()
    void(world, started.invoice_id)
    assert (world.balance(anna), world.available(anna)) == (0, 0)
    holds()


@pytest.mark.parametrize("ended", ["void", "uncollectible"])
def test_a_part_payment_refunded_after_the_invoice_was_closed_leaves_nothing(world, ended: str) -> None:
    from billing_api.billing_service.commands.write_off import write_off

    anna, started, state = part_paid(world)
    if ended == "void":
        void(world, started.invoice_id)
        assert world.available(anna) == 10000
    else:
        write_off(started.invoice_id, **said(world))
        assert world.invoice(started.invoice_id).written_off_minor == 39900
    world.hear(world.refund(state))
    assert stands(world, started)[0] == ended
    assert world.invoice(started.invoice_id).written_off_minor == (49900 if ended == "uncollectible" else 0)
    assert (world.balance(anna), world.available(anna)) == (0, 0)
    holds()


def test_a_refund_after_that_of_the_unused_days_credits_its_own_money_alone(world) -> None:
    """499.00 paid, 241.45 of unused days credited and refunded; 100.00 more credits 100.00, not 257.55."""
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription
    from billing_api.billing_service.models import CreditNote, OutgoingOrder
    from tests.billing_api.commands.test_cancelling import bought

    anna, started, state = bought(world)
    world.now = datetime(2026, 3, 31, 9, tzinfo=UTC)
    cancel_subscription(started.subscription_id, mode="now", refund_unused=True, now=world.now)
    order = OutgoingOrder.objects.get(kind="refund")
    state = world.refund(state, order.amount_minor, refund_order_id=order.id)
    world.hear(state)
    world.hear(state)
    holds()
    state = world.refund(state, 10000)
    world.hear(state)
    assert sorted(CreditNote.objects.values_list("total_minor", flat=True)) == [10000, 24145]
    assert world.balance(anna) == 0
    holds()
    world.hear(world.refund(state, 49900 - 24145 - 10000))
    assert world.invoice(started.invoice_id).credited_minor == 49900
    assert world.balance(anna) == 0
    holds()
