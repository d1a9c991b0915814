# ruff: noqa: E501 - rows of a table stay on one line
"""Every page opens in both languages, finds what it should, and reads through the read-only role alone."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.admin_panel.conftest import BILLING, Panel, StaffClient

ROOT = Path(__file__).resolve().parents[2] / "admin_panel"
LISTS = (
    "account", "invoiceline", "invoice", "payment", "subscription", "personaldiscount", "promotion", "promocode",
    "ledgertransaction", "creditnote", "billingrun", "reviewitem", "auditrecord",
)  # fmt: skip


@pytest.mark.parametrize("language", ["ru", "en"])
def test_pages_open_without_the_role_of_commands(panel: Panel, language: str) -> None:
    # With this address every use of the alias `billing` fails: pages must not need it.
    nowhere = panel.environment["BILLING_DATABASE_URL"].replace("billing_commands:", "nobody:")
    client = StaffClient(panel.start(BILLING_DATABASE_URL=nowhere), language)
    assert client.log_in("admin").url.path == "/admin/"
    world = panel.world
    paths = ["/admin/", *(f"{BILLING}/{name}/" for name in LISTS)]
    paths += [f"{BILLING}/{name}/?q={world['user_id']}" for name in LISTS]
    paths += [
        f"{BILLING}/account/{world['account_id']}/change/",
        f"{BILLING}/invoice/{world['paid_invoice_id']}/change/",
        f"{BILLING}/payment/{world['declined_payment_id']}/change/",
        f"{BILLING}/subscription/{world['subscription_id']}/change/",
        "/admin/users/user/",
        f"/admin/users/user/{world['user_id']}/change/",
        "/admin/catalog/product/",
        "/admin/catalog/collection/",
        "/admin/catalog/movie/?q=Godfather",
        "/admin/auth/user/",
        "/admin/auth/group/",
    ]
    for name in ("invoiceline", "ledgertransaction"):
        found = re.search(
            rf"{BILLING}/{name}/([0-9a-f-]{{36}})/change/", client.get(f"{BILLING}/{name}/").text
        )
        assert found, name
        paths.append(found[0])
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text[:300])
    assert ("Лицевые счета" in client.get("/admin/").text) is (language == "ru")
    title = re.search(r"<title>\s*([^|]+?)\s*\|", client.get(f"{BILLING}/ledgertransaction/").text)
    assert title is not None
    assert title[1] == {"ru": "Проводки", "en": "Ledger"}[language]


@pytest.mark.parametrize("term", ["user_id", "email", "paid_number", "account_id"])
def test_an_account_is_found(panel: Panel, clients: Callable[..., StaffClient], term: str) -> None:
    answer = clients("viewer").get(f"{BILLING}/account/?q={panel.world[term]}")
    assert f"{BILLING}/account/{panel.world['account_id']}/change/" in answer.text
    assert panel.world["account_id"] not in clients("viewer").get(f"{BILLING}/account/?q=nobody").text


def test_a_charge_says_why(panel: Panel, clients: Callable[..., StaffClient]) -> None:
    page = clients("viewer").get(f"{BILLING}/invoice/{panel.world['paid_invoice_id']}/change/").text
    assert "List price: RUB\u00a0499.00" in page
    assert "including VAT 22%: RUB\u00a089.98" in page
    russian = clients("viewer", "ru").get(f"{BILLING}/invoice/{panel.world['paid_invoice_id']}/change/").text
    assert "в том числе НДС 22\u00a0%: 89,98\u00a0₽" in russian
    ((start, end),) = panel.rows(
        "billing",
        "SELECT period_start_on, period_end_on FROM invoice_line WHERE id = %s",
        panel.world["paid_line_id"],
    )
    last = end - timedelta(days=1)  # as the invoice itself shows it
    assert f"{start:%d.%m.%Y} – {last:%d.%m.%Y}" in russian


def test_an_account_shows_its_money_in_every_currency(
    panel: Panel, clients: Callable[..., StaffClient]
) -> None:
    edit = "SET session_replication_role = replica; {} RETURNING currency"
    row = "(id, account_id, currency, balance_minor, entry_count) VALUES (gen_random_uuid(), %s, 'USD', -1500, 0)"
    panel.rows("billing", edit.format(f"INSERT INTO account_balance {row}"), panel.world["account_id"])
    try:
        page = clients("viewer").get(f"{BILLING}/account/{panel.world['account_id']}/change/").text
    finally:
        panel.rows("billing", edit.format("DELETE FROM account_balance WHERE currency = 'USD'"))
    assert re.search(r"RUB\u00a0[−\d.,]+, USD\u00a015\.00", page)


def test_no_list_asks_the_database_row_by_row(panel: Panel) -> None:
    told = panel.inside("queries_of_lists")
    assert told["billing_service.ledgertransaction"][2] > 1
    assert {name: counts for name, counts in told.items() if counts[0] != counts[1]} == {}


def test_an_unknown_page_and_row_are_told_in_words(clients: Callable[..., StaffClient]) -> None:
    answer = clients("viewer").get("/admin/nothing/")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text


def test_health_and_metrics(panel: Panel) -> None:
    client = StaffClient(panel.url)
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert "http_requests_total" in client.get("/metrics").text


def test_every_text_has_its_russian() -> None:
    with (ROOT / "locale/ru/LC_MESSAGES/django.mo").open("rb") as compiled:
        russian = gettext.GNUTranslations(compiled)
    known = russian._catalog  # type: ignore[attr-defined]
    texts: set[str] = set()
    for source in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="_" | "_now"), args=[ast.Constant(value=str(text)), *_]):
                    texts.add(text)
    for page in (ROOT / "templates").rglob("*.html"):
        texts |= set(re.findall(r'\{% translate "([^"]+)"', page.read_text()))
    assert len(texts) > 300
    assert {text for text in texts if not known.get(text)} == set()
