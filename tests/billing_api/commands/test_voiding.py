"""Taking an open invoice back: what was credited stays credited once, money paid comes back, nothing more."""

from __future__ import annotations

from typing import Any

import pytest

from shared.money import Money
from tests.billing_api.commands.test_changing import close_answers, holds
from tests.billing_api.commands.test_staff import said


def credit(world: Any, invoice_id: Any, amount_minor: int) -> None:
    from billing_api.billing_service.commands.adjust_charge import adjust_charge

    adjust_charge(invoice_id, Money(-amount_minor), **said(world))


def void(world: Any, invoice_id: Any) -> None:
    from billing_api.billing_service.commands.void_invoice import void_invoice

    void_invoice(invoice_id, **said(world))
    assert close_answers(world, "closed") == 1


def broken() -> list[str]:
    from billing_api.billing_service.invariants import check_invariants

    return [one.name for one in check_invariants() if not one.holds]


def sums(*accounts: str) -> list[int]:
    from django.db.models import Sum

    from billing_api.billing_service.models import LedgerEntry

    found = LedgerEntry.objects.values_list("ledger_account").annotate(total=Sum("amount_minor"))
    return [dict(found).get(account, 0) for account in accounts]


def test_a_void_invoice_takes_back_only_what_was_not_credited(world) -> None:
    anna = world.customer()
    started = world.buy(anna)
    credit(world, started.invoice_id, 9900)
    void(world, started.invoice_id)
    assert world.invoice(started.invoice_id).status == "void"
    assert world.subscription(started).status == "expired"
    assert (world.balance(anna), world.available(anna)) == (0, 0)
    # The credited 99.00 is a returned sale: 81.15 in refunds against as much in revenue; no VAT is left.
    assert sums("customer", "vat", "revenue", "refunds") == [0, 0, -8115, 8115]
    holds()


def test_an_expired_first_invoice_takes_back_only_what_was_not_credited(world) -> None:
    from billing_api.billing_service.commands.run_maintenance import run_maintenance

    anna = world.customer()
    started = world.buy(anna)
    credit(world, started.invoice_id, 9900)
    credit(world, started.invoice_id, 100)
    world.pass_time(hours=24)
    run_maintenance(now=world.now)
    assert close_answers(world, "closed") == 1
    assert world.subscription(started).status == "expired"
    assert (world.balance(anna), world.available(anna)) == (0, 0)
    holds()


def test_a_void_invoice_gives_paid_money_and_used_balance_back_once(world) -> None:
    from billing_api.billing_service.commands.grant_goodwill import grant_goodwill

    anna = world.customer()
    world.buy(anna, world.film)
    grant_goodwill(anna.user_id, Money(5000), **said(world))
    started = world.buy(anna)
    used = world.invoice(started.invoice_id).balance_applied_minor
    world.hear(world.payment(started.invoice_id, anna.user_id, amount=10000, provider="bank_transfer"))
    credit(world, started.invoice_id, 9900)
    before = world.available(anna)
    void(world, started.invoice_id)
    assert world.available(anna) - before == 10000 + used
    holds()


@pytest.mark.parametrize("wrong", ["reversal", "credit_note"])
def test_a_void_invoice_that_leaves_money_behind_is_an_invariant_broken(world, superuser, wrong: str) -> None:
    started = world.buy(world.customer())
    credit(world, started.invoice_id, 9900)
    void(world, started.invoice_id)
    assert broken() == []
    superuser.execute(
        "UPDATE ledger_entry SET amount_minor = amount_minor - 9900 WHERE ledger_account = 'customer'"
        " AND transaction_id IN (SELECT id FROM ledger_transaction WHERE source_kind = %s)",
        [wrong],
    )
    assert "void_invoices_ask_nothing" in broken()
