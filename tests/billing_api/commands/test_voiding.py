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


def charged_more(world: Any, invoice_id: Any) -> Any:
    from billing_api.billing_service.commands.adjust_charge import adjust_charge

    return adjust_charge(invoice_id, Money(5000), **said(world)).document_id


def test_writing_the_renewal_off_ends_a_subscription_that_stands_on_nothing_else(world) -> None:
    from billing_api.billing_service.commands.write_off import write_off

    anna, started, invoice = renewal(world)
    becomes_past_due(world, anna, started)
    assert write_off(invoice.id, preview=True, **said(world)).ends_subscription
    assert world.subscription(started).status == "past_due"
    assert write_off(invoice.id, **said(world)).ends_subscription
    subscription = world.subscription(started)
    assert (subscription.status, subscription.end_reason) == ("cancelled", "invoice written off")
    assert world.invoice(invoice.id).status == "uncollectible"
    assert (subscription.grants_access, world.balance(anna)) == (False, 0)
    assert world.buy(anna).is_new
    holds()


def test_writing_one_of_two_open_renewals_off_leaves_the_subscription_to_the_other(world) -> None:
    from billing_api.billing_service.commands.write_off import write_off
    from billing_api.billing_service.models import Invoice
    from tests.billing_api.commands.test_changing import subscriber
    from tests.billing_api.commands.test_renewing import run

    anna, started = subscriber(world)
    world.pass_time(days=62)
    run(world)
    older, newer = Invoice.objects.filter(kind="renewal").order_by("period_start_on")
    becomes_past_due(world, anna, started)
    assert not write_off(older.id, **said(world)).ends_subscription
    subscription = world.subscription(started)
    # The other one has not been tried yet: nothing that is asked for has failed, and nothing more is paid.
    assert (subscription.status, subscription.past_due_at) == ("active", None)
    assert subscription.paid_through_on == older.period_start_on
    world.hear(world.payment(newer.id, anna.user_id))
    assert world.subscription(started).paid_through_on == newer.period_end_on
    holds()


def test_voiding_a_correcting_charge_leaves_the_subscription_and_its_promo_code(world) -> None:
    from billing_api.billing_service.models import PromoRedemption

    code = world.promo_code()
    anna = world.customer()
    started = world.buy(anna, promo_code="SPRING")
    void(world, charged_more(world, started.invoice_id))
    assert world.subscription(started).status == "incomplete"
    assert world.invoice(started.invoice_id).status == "open"
    assert PromoRedemption.objects.get().state == "reserved"
    code.refresh_from_db(using="billing")
    assert code.redemptions == 1
    world.pay(started, anna)
    assert world.subscription(started).status == "active"
    assert PromoRedemption.objects.get().state == "committed"
    holds()


def renewal(world: Any) -> tuple[Any, Any, Any]:
    """A subscription whose renewal is open."""
    from billing_api.billing_service.models import Invoice
    from tests.billing_api.commands.test_changing import subscriber
    from tests.billing_api.commands.test_renewing import run

    anna, started = subscriber(world)
    world.pass_time(days=31)
    run(world)
    return anna, started, Invoice.objects.get(kind="renewal")


def becomes_past_due(world: Any, anna: Any, started: Any) -> None:
    from tests.billing_api.commands.test_renewing import collect, outcome

    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="soft")
    assert world.subscription(started).status == "past_due"


@pytest.mark.parametrize("past_due", [True, False])
def test_voiding_the_renewal_ends_a_subscription_that_stands_on_nothing_else(world, past_due: bool) -> None:
    from billing_api.billing_service.commands.void_invoice import void_invoice
    from tests.billing_api.commands.test_renewing import run

    anna, started, invoice = renewal(world)
    if past_due:
        becomes_past_due(world, anna, started)
    assert void_invoice(invoice.id, preview=True, **said(world)).ends_subscription
    void(world, invoice.id)
    subscription = world.subscription(started)
    assert (subscription.status, subscription.end_reason) == ("cancelled", "invoice voided")
    assert not subscription.grants_access
    assert (world.balance(anna), world.available(anna)) == (0, 0)
    world.pass_time(days=31)
    assert run(world) == (None, 0)
    # Nothing is owed, so the customer may buy the same again at once.
    assert world.buy(anna).is_new
    holds()


def test_voiding_a_correcting_charge_leaves_a_past_due_subscription_to_its_renewal(world) -> None:
    from billing_api.billing_service.commands.void_invoice import void_invoice

    anna, started, invoice = renewal(world)
    becomes_past_due(world, anna, started)
    charge = charged_more(world, invoice.id)
    assert not void_invoice(charge, preview=True, **said(world)).ends_subscription
    void(world, charge)
    assert world.subscription(started).status == "past_due"
    assert world.invoice(invoice.id).status == "open"
    holds()


@pytest.mark.parametrize("by", ["void", "write-off"])
def test_paying_the_older_of_two_renewals_ends_what_the_newer_was_given_up_of(world, by: str) -> None:
    from billing_api.billing_service.commands.write_off import write_off
    from billing_api.billing_service.models import Invoice
    from tests.billing_api.commands.test_changing import subscriber
    from tests.billing_api.commands.test_renewing import run

    anna, started = subscriber(world)
    world.pass_time(days=62)
    run(world)
    older, newer = Invoice.objects.filter(kind="renewal").order_by("period_start_on")
    if by == "void":
        void(world, newer.id)
    else:
        write_off(newer.id, **said(world))
    assert world.subscription(started).status == "active"
    world.hear(world.payment(older.id, anna.user_id))
    subscription = world.subscription(started)
    assert (subscription.status, subscription.end_reason) == ("cancelled", "running period given up")
    assert (subscription.grants_access, subscription.next_invoice_at, world.balance(anna)) == (False, None, 0)
    assert world.buy(anna).is_new
    holds()


def test_voiding_one_of_two_open_renewals_leaves_the_subscription_to_the_other(world) -> None:
    from billing_api.billing_service.commands.void_invoice import void_invoice
    from billing_api.billing_service.models import Invoice
    from tests.billing_api.commands.test_changing import subscriber
    from tests.billing_api.commands.test_renewing import run

    anna, started = subscriber(world)
    world.pass_time(days=62)  # the scheduler stood still: two periods are billed at once
    run(world)
    older, newer = Invoice.objects.filter(kind="renewal").order_by("period_start_on")
    becomes_past_due(world, anna, started)
    world.hear(world.payment(newer.id, anna.user_id))
    assert world.subscription(started).status == "past_due"
    assert not void_invoice(older.id, preview=True, **said(world)).ends_subscription
    void(world, older.id)
    subscription = world.subscription(started)
    assert (subscription.status, subscription.past_due_at) == ("active", None)
    assert subscription.paid_through_on == newer.period_end_on
    holds()
