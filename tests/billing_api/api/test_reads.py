"""What users and services read: their own rows, in the agreed bodies, page by page."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.ids import new_id
from shared.pagination import encode_cursor
from tests.billing_api.api import rows
from tests.billing_api.api.conftest import NOW, Callers
from tests.billing_api.api.test_problems import problem
from tests.servers import DatabaseUrls

pytestmark = pytest.mark.usefixtures("billing")
PRICE = {"amount": 49900, "currency": "RUB"}
NOTHING = {"amount": 0, "currency": "RUB"}


def body(response: Any) -> Any:
    assert response.status_code == 200, response.getvalue()
    return json.loads(response.getvalue())


def test_an_unknown_user_has_a_balance_of_zero(callers: Callers) -> None:
    assert body(callers.me("/v1/me/account")) == {
        "user_id": str(callers.user_id),
        "balance": NOTHING,
        "available": NOTHING,
        "currency": "RUB",
        "balances": [{"currency": "RUB", "balance": NOTHING, "available": NOTHING}],
        "time_zone": "Europe/Moscow",
    }
    problem(callers.get(f"/internal/v1/accounts/{callers.user_id}"), 404, "account-not-found")


def test_prepaid_money_is_above_zero(callers: Callers) -> None:
    rows.account(callers.user_id, balance_minor=12000)
    mine = body(callers.me("/v1/me/account"))
    assert mine["balance"] == {"amount": 12000, "currency": "RUB"}
    internal = body(callers.get(f"/internal/v1/accounts/{callers.user_id}"))
    assert internal == mine | {
        "received": NOTHING,
        "refunded": NOTHING,
        "flows": [{"currency": "RUB", "received": NOTHING, "refunded": NOTHING}],
    }


def test_an_invoice_as_agreed(callers: Callers) -> None:
    made = rows.invoice(rows.account(callers.user_id))
    (line,) = made.lines.all()
    expected = {
        "id": str(made.id),
        "number": "2026-000001",
        "user_id": str(callers.user_id),
        "subscription_id": None,
        "kind": "charge",
        "status": "open",
        "collection": "none",
        "total": PRICE,
        "vat": {"amount": 8998, "currency": "RUB"},
        "balance_applied": NOTHING,
        "paid": NOTHING,
        "credited": NOTHING,
        "amount_due": PRICE,
        "lines": [
            {
                "id": str(line.id),
                "kind": "charge",
                "description": {"ru": "Базовая", "en": "Basic"},
                "product_id": str(line.product_id),
                "price_id": None,
                "quantity": 1,
                "list_amount": PRICE,
                "discount": NOTHING,
                "net": PRICE,
                "vat": {"amount": 8998, "currency": "RUB"},
                "vat_rate_bp": 2200,
                "period": {"start": "2026-04-11", "end": "2026-05-11"},
                "steps": [{"step": "list_price", "amount_minor": 49900}],
                "explanation": {"ru": [], "en": []},
            }
        ],
        "steps": [],
        "explanation": {"ru": [], "en": []},
        "reason": None,
        "issued_at": "2026-04-11T09:00:00Z",
        "due_at": "2026-04-12T09:00:00Z",
        "paid_at": None,
    }
    assert body(callers.me(f"/v1/me/invoices/{made.id}")) == expected
    assert body(callers.me("/v1/me/invoices")) == {"items": [expected], "next_cursor": None}
    assert body(callers.get(f"/internal/v1/invoices/{made.id}")) == expected


def test_somebody_elses_rows_do_not_exist(callers: Callers) -> None:
    other = rows.account(new_id())
    made = rows.invoice(other)
    rows.payment(other, made)
    problem(callers.me(f"/v1/me/invoices/{made.id}"), 404, "invoice-not-found")
    for path in ("invoices", "charges", "payments"):
        assert body(callers.me(f"/v1/me/{path}")) == {"items": [], "next_cursor": None}


def test_a_draft_is_nobodys_business(callers: Callers) -> None:
    made = rows.invoice(rows.account(callers.user_id), status="draft")
    problem(callers.me(f"/v1/me/invoices/{made.id}"), 404, "invoice-not-found")
    assert body(callers.me("/v1/me/charges"))["items"] == []


def test_pages_tile_while_rows_are_added(callers: Callers) -> None:
    of = rows.account(callers.user_id)
    # Two of one moment: the id decides.
    made = [rows.invoice(of, n, issued_at=NOW + timedelta(minutes=n // 2)) for n in range(1, 8)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = body(callers.me(f"/v1/me/invoices?limit=3{cursor}"))
        seen += [item["number"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
        rows.invoice(of, 100 + len(seen), issued_at=NOW + timedelta(hours=1))
    assert seen == [invoice.number for invoice in reversed(made)]


OUT_OF_THE_CALENDAR = encode_cursor(["0001-01-01T00:00:00+23:59", str(UUID(int=7))])


@pytest.mark.parametrize(
    "cursor", ["x", "WyIyMDI2Il0", "WzEsMl0", "WyJhIiwiYiJd", "%D0%B0", OUT_OF_THE_CALENDAR]
)
def test_a_cursor_of_another_list_is_refused(callers: Callers, cursor: str) -> None:
    problem(callers.me(f"/v1/me/invoices?cursor={cursor}"), 400, "cursor-invalid")


def test_a_limit_is_capped(callers: Callers) -> None:
    of = rows.account(callers.user_id)
    for number in range(1, 103):
        rows.invoice(of, number)
    assert len(body(callers.me("/v1/me/invoices?limit=5000"))["items"]) == 100
    assert len(body(callers.me("/v1/me/invoices"))["items"]) == 20


def test_charges_and_payments(callers: Callers) -> None:
    of = rows.account(callers.user_id)
    made = rows.invoice(of)
    paid = rows.payment(of, made)
    (charge,) = body(callers.me("/v1/me/charges"))["items"]
    assert charge["net"] == PRICE
    assert (charge["invoice_id"], charge["invoice_number"]) == (str(made.id), "2026-000001")
    assert charge["charged_at"] == "2026-04-11T09:00:00Z"
    (payment,) = body(callers.me("/v1/me/payments"))["items"]
    assert (payment["id"], payment["invoice_id"]) == (str(paid.id), str(made.id))
    assert (payment["captured"], payment["refunded"]) == (PRICE, NOTHING)


def test_services_filter_by_user_and_status(callers: Callers) -> None:
    first, second = rows.account(callers.user_id), rows.account(new_id())
    rows.invoice(first, 1)
    rows.invoice(first, 2, status="paid", amount_due_minor=0, paid_minor=49900)
    rows.invoice(second, 3)

    def numbers(query: str) -> list[str]:
        return [item["number"][-1] for item in body(callers.get(f"/internal/v1/invoices{query}"))["items"]]

    assert sorted(numbers("")) == ["1", "2", "3"]
    assert sorted(numbers(f"?user_id={callers.user_id}")) == ["1", "2"]
    assert numbers(f"?user_id={callers.user_id}&status=paid") == ["2"]
    assert numbers(f"?user_id={UUID(int=1)}") == []


def test_quiescence_counts_what_is_under_way(callers: Callers, billing: DatabaseUrls) -> None:
    from billing_api.billing_service.models import OutgoingOrder, RunTick

    RunTick.objects.create(kind="billing", as_of=NOW, finished_at=NOW)
    quiet = body(callers.get("/internal/v1/quiescence"))
    assert quiet["quiet"] is True
    assert quiet["ticks"] == {
        "billing": "2026-04-11T09:00:00Z",
        "collection": None,
        "maintenance": None,
    }
    OutgoingOrder.objects.create(
        account=rows.account(callers.user_id), kind="refund", state="pending", next_try_at=NOW, created_at=NOW
    )
    busy = body(callers.get("/internal/v1/quiescence"))
    assert busy["quiet"] is False
    assert busy["pending"] == {name: int(name == "orders") for name in quiet["pending"]}


def test_a_statement_of_an_unknown_user_is_empty(callers: Callers) -> None:
    statement = body(callers.me("/v1/me/statement?from=2026-04-01&to=2026-04-11&format=json"))
    assert (statement["from"], statement["to"]) == ("2026-04-01", "2026-04-11")
    assert statement["opening_balance"] == statement["closing_balance"] == NOTHING
    assert statement["movements"] == []


def test_a_statement_of_another_currency(callers: Callers) -> None:
    rows.account(callers.user_id)
    for query, currency in (("", "RUB"), ("?currency=RUB", "RUB"), ("?currency=USD", "USD")):
        statement = body(callers.me(f"/v1/me/statement{query}"))
        assert statement["account"]["currency"] == currency
        assert statement["closing_balance"] == {"amount": 0, "currency": currency}
    for wrong in ("usd", "XXX"):
        problem(callers.me(f"/v1/me/statement?currency={wrong}"), 422, "invalid-request")


def test_a_statement_covers_thirty_days_when_nothing_is_said(callers: Callers) -> None:
    statement = body(callers.me("/v1/me/statement"))
    assert (statement["from"], statement["to"]) == ("2026-03-12", "2026-04-11")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=2026-04-12&to=2026-04-11", "range-invalid"),
        ("from=1900-01-01", "range-invalid"),
        ("from=2010-01-01", "range-invalid"),
        ("to=9999-12-31", "range-invalid"),
        ("from=0001-01-01&to=0001-01-01", "range-invalid"),
        ("from=yesterday", "invalid-request"),
        ("format=xml", "invalid-request"),
    ],
)
def test_a_statement_that_cannot_be(callers: Callers, query: str, code: str) -> None:
    problem(callers.me(f"/v1/me/statement?{query}"), 422, code)


@pytest.mark.parametrize(
    ("query", "accept", "head"),
    [
        ("", "", "Дата;"),
        ("&locale=en", "ru", "Date,"),
        ("", "en-GB,ru;q=0.5", "Date,"),
        ("", "de, ru-RU;q=0.8, en;q=0.1", "Дата;"),
        ("", "en;q=0", "Дата;"),
    ],
)
def test_a_statement_as_csv_in_the_language_asked_for(
    callers: Callers, query: str, accept: str, head: str
) -> None:
    rows.account(callers.user_id)
    headers = {"Authorization": f"Bearer {callers.token()}", "Accept-Language": accept}
    answer = callers.client.get(f"/v1/me/statement?format=csv{query}", headers=headers)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="statement-2026-03-12-2026-04-11-RUB.csv"'
    )
    assert answer.getvalue().decode("utf-8-sig").startswith(head)


def test_documents_as_pdf(callers: Callers) -> None:
    of = rows.account(callers.user_id)
    made = rows.invoice(of)
    invoice = callers.me(f"/v1/me/invoices/{made.id}.pdf?locale=en")
    assert (invoice.status_code, invoice.headers["Content-Type"]) == (200, "application/pdf")
    assert invoice.headers["Content-Disposition"] == 'inline; filename="invoice-2026-000001.pdf"'
    assert invoice.headers["Content-Language"] == "en"
    assert invoice.content.startswith(b"%PDF-")
    statement = callers.me("/v1/me/statement?format=pdf")
    assert statement.status_code == 200
    document = b"".join(statement.streaming_content)
    assert document.startswith(b"%PDF-")
    assert document.endswith(b"%%EOF\n")
    other = rows.invoice(rows.account(new_id()), 2)
    problem(callers.me(f"/v1/me/invoices/{other.id}.pdf"), 404, "invoice-not-found")
    problem(callers.me(f"/v1/me/invoices/{made.id}.pdf?locale=fr"), 422, "invalid-request")


def test_credit_notes(callers: Callers, billing: Any) -> None:
    of = rows.account(callers.user_id)
    made = rows.invoice(of)
    note = rows.credit_note(of, made)
    page = callers.me("/v1/me/credit-notes").json()
    assert [one["number"] for one in page["items"]] == ["CN-2026-000001"]
    shown = callers.me(f"/v1/me/credit-notes/{note.id}").json()
    assert shown == page["items"][0]
    assert (shown["invoice_id"], shown["total"]["amount"], shown["vat"]["amount"]) == (
        str(made.id),
        10000,
        1803,
    )
    assert shown["lines"][0]["description"] == {"ru": "Базовая", "en": "Basic"}
    document = callers.me(f"/v1/me/credit-notes/{note.id}.pdf?locale=en")
    assert document.headers["Content-Disposition"] == 'inline; filename="credit-note-CN-2026-000001.pdf"'
    assert document.content.startswith(b"%PDF-")
    strange = rows.credit_note(another := rows.account(new_id()), rows.invoice(another, 2), 2)
    for path in (f"/v1/me/credit-notes/{strange.id}", f"/v1/me/credit-notes/{strange.id}.pdf"):
        problem(callers.me(path), 404, "credit-note-not-found")
