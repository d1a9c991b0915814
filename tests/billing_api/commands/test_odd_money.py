"""Payments that do not fit: what each kind of money does, in one table."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.billing_api.commands.test_changing import close_answers, holds, shop, subscriber
from tests.billing_api.commands.test_renewing import run
from tests.billing_api.proofs.test_documents import SELLER, read_csv, text_of


def _open(world: Any) -> tuple[Any, Any, Any]:
    from billing_api.billing_service.models import Invoice

    anna, started = subscriber(world)
    world.pass_time(days=31)
    run(world)
    return anna, started, Invoice.objects.get(kind="renewal")


def _void(world: Any, invoice: Any) -> None:
    from billing_api.billing_service.commands.void_invoice import void_invoice
    from tests.billing_api.commands.test_staff import said

    void_invoice(invoice.id, **said(world))
    close_answers(world, "closed")


def _write_off(world: Any, invoice: Any) -> None:
    from billing_api.billing_service.commands.write_off import write_off
    from tests.billing_api.commands.test_staff import said

    write_off(invoice.id, **said(world))
    close_answers(world, "closed")


# what happens -> (status of the invoice, paid of it, the customer's spendable balance, reported)
TABLE = {
    "on time": ("paid", 49900, 0, False),
    "the same event twice": ("paid", 49900, 0, False),
    "an older event after the newer one": ("paid", 49900, 0, False),
    "the failure after the success": ("paid", 49900, 0, False),
    "late, the invoice still open": ("paid", 49900, 0, False),
    "a second payment": ("paid", 49900, 49900, True),
    "more than is due": ("paid", 49900, 100, True),
    "less than is due": ("open", 49800, 0, False),
    "a void invoice": ("void", 0, 49900, True),
    "an uncollectible invoice": ("uncollectible", 0, 49900, True),
    "another currency": ("open", 0, 0, True),
    "an unknown invoice": ("open", 0, 49900, True),
}


@pytest.mark.parametrize("case", TABLE)
def test_odd_money_has_a_defined_outcome(world, case: str) -> None:
    from billing_api.billing_service.models import ReviewItem
    from shared.ids import new_id

    shop(world)
    anna, _, invoice = _open(world)
    if case == "a void invoice":
        _void(world, invoice)
    if case == "an uncollectible invoice":
        _write_off(world, invoice)
    state = world.payment(
        new_id() if case == "an unknown invoice" else invoice.id,
        anna.user_id,
        amount={"more than is due": 50000, "less than is due": 49800}.get(case, 49900),
        currency="USD" if case == "another currency" else "RUB",
        late=case.startswith("late") or case.endswith("invoice"),
    )
    world.hear(state, 5)
    if case == "the same event twice":
        world.hear(state, 5)
    elif case == "an older event after the newer one":
        world.hear(world.payment(invoice.id, anna.user_id, "processing", amount=49900,
                                 payment_id=state.payment_id), 4)  # fmt: skip
    elif case == "the failure after the success":
        world.hear(world.payment(invoice.id, anna.user_id, "failed", amount=49900, decline="soft",
                                 payment_id=state.payment_id), 3)  # fmt: skip
    elif case == "a second payment":
        world.hear(world.payment(invoice.id, anna.user_id, amount=49900))
    invoice.refresh_from_db(using="billing")
    status, paid, available, reported = TABLE[case]
    assert (invoice.status, invoice.paid_minor) == (status, paid)
    assert world.available(anna) == available
    assert ReviewItem.objects.filter(kind="money_without_invoice").exists() is reported
    holds()


def test_money_of_another_currency_stands_in_a_statement_of_its_own(world: Any) -> None:
    from billing_api.billing_service import queries
    from billing_api.billing_service.statement import make_statement, statement_view

    shop(world)
    anna, _, invoice = _open(world)
    world.hear(world.payment(invoice.id, anna.user_id, amount=1500, currency="USD"), 5)
    view = queries.account_view(anna.user_id)
    dollars = {"amount": 1500, "currency": "USD"}
    assert view["currency"] == view["balance"]["currency"] == "RUB"
    assert [one["currency"] for one in view["balances"]] == ["RUB", "USD"]
    assert view["balances"][1] == {"currency": "USD", "balance": dollars, "available": dollars}
    flow = queries.money_flow(anna.user_id)
    roubles, nothing = {"amount": 49900, "currency": "RUB"}, {"amount": 0, "currency": "USD"}
    assert flow["received"] == roubles
    assert flow["flows"] == [
        {"currency": "RUB", "received": roubles, "refunded": {"amount": 0, "currency": "RUB"}},
        {"currency": "USD", "received": dollars, "refunded": nothing},
    ]
    today = world.now.date()
    made = {
        code: statement_view(make_statement(anna.user_id, date(2026, 1, 1), today, code))
        for code in ("RUB", "USD")
    }
    assert [one["amount"] for one in made["USD"]["movements"]] == [dollars]
    assert made["USD"]["closing_balance"] == dollars
    assert {one["amount"]["currency"] for one in made["RUB"]["movements"]} == {"RUB"}


def test_a_statement_of_dollars_is_of_dollars_on_paper_and_in_a_spreadsheet(world: Any) -> None:
    from billing_api.billing_service.documents.statement_csv import statement_csv
    from billing_api.billing_service.documents.statement_document import statement_pdf
    from billing_api.billing_service.statement import make_statement

    shop(world)
    anna, _, invoice = _open(world)
    world.hear(world.payment(invoice.id, anna.user_id, amount=1500, currency="USD"), 5)
    days = (date(2026, 1, 1), world.now.date())
    table = read_csv(b"".join(statement_csv(make_statement(anna.user_id, *days, "USD"), "en")), ",")
    assert {row[7] for row in table[1:]} == {"USD"}
    assert table[-1][4:7] == ["0.00", "15.00", "15.00"]
    made = make_statement(anna.user_id, *days, "USD")
    text = text_of(b"".join(statement_pdf(made, SELLER, "en", world.now)))
    assert "Charged, USD Credited, USD Balance, USD" in text
    assert "Closing balance 15.00" in text
    assert "RUB" not in text


def test_a_bank_transfer_and_its_refund_are_told_as_such(world: Any) -> None:
    from billing_api.billing_service.models import Payment
    from billing_api.billing_service.statement import make_statement

    shop(world)
    anna, _, invoice = _open(world)
    state = world.payment(invoice.id, anna.user_id)
    world.hear(state, 5)
    world.hear(world.refund(state, 10000), 6)
    told = {}
    for provider in ("cloudpayments", "bank_transfer"):
        Payment.objects.filter(id=state.payment_id).update(provider=provider)
        made = make_statement(anna.user_id, date(2026, 1, 1), world.now.date())
        told[provider] = [
            (one.description_ru.split()[0], one.description_en.rstrip(" *0123456789"))
            for one in made.movements
            if one.document_id == state.payment_id or one.kind == "refund"
        ]
    assert told["cloudpayments"] == [("Оплата", "Card payment"), ("Возврат", "Refund to card")]
    assert told["bank_transfer"] == [("Оплата", "Bank transfer"), ("Возврат", "Refund by bank transfer")]
