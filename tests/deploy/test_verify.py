"""make verify: services that agree pass, and each way to disagree is told with its row."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy.verify import Services, compare_payments, compare_provider, compare_rights, run

AT = "2026-03-01T00:00:00Z"
LATER, EARLIER = "2026-03-31T21:00:00Z", "2026-02-28T21:00:00Z"


def money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "RUB"}


def payment(number: int = 1, captured: int = 49_900, refunded: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"payment-{number}",
        "user_id": "anna",
        "invoice_id": "invoice-1",
        "provider": "cloudpayments",
        "captured": money(captured),
        "refunded": money(refunded),
    } | changes


def basis(until: str | None = LATER, **changes: Any) -> dict[str, Any]:
    return {
        "user_id": "anna",
        "subscription_id": "s-1",
        "grants": ["collection:basic"],
        "until": until,
        "reduced_grants": [],
        "reduced_until": None,
    } | changes


def held(*rights: tuple[str, str | None], removed: tuple[str, ...] = ()) -> dict[str, Any]:
    items = [{"resource": name, "source": "subscription:s-1", "until": until} for name, until in rights]
    return {"items": items, "removed": list(removed), "at": AT}


def test_payments_seen_alike_agree_and_unpaid_ones_do_not_count() -> None:
    assert compare_payments([payment(), payment(2, captured=0)], [payment()]) == []


@pytest.mark.parametrize(
    ("at_billing", "told"),
    [
        ([], "captured by PayAPI, unknown to BillingAPI"),
        ([payment(), payment(2)], "booked by BillingAPI, unknown to PayAPI"),
        ([payment(captured=49_800)], "captured is"),
        ([payment(refunded=100)], "refunded is"),
        ([payment(user_id="boris")], "user_id is anna at PayAPI, boris at BillingAPI"),
        ([payment(invoice_id="invoice-2")], "invoice_id is"),
    ],
)
def test_a_payment_seen_differently_is_told(at_billing: list[dict[str, Any]], told: str) -> None:
    wrong = compare_payments([payment()], at_billing)
    assert len(wrong) == 1
    assert told in wrong[0]


def test_the_provider_is_compared_by_currency_and_without_other_providers() -> None:
    rows = [payment(refunded=900), payment(2, provider="bank_transfer")]
    assert compare_provider(rows, {"RUB": 49_000}) == []
    assert compare_provider(rows, {"RUB": 49_900, "EUR": 5}) == [
        "EUR: 5 at the provider, 0 at PayAPI",
        "RUB: 49900 at the provider, 49000 at PayAPI",
    ]


def test_rights_are_what_bases_give() -> None:
    assert compare_rights([basis()], held(("collection:basic", LATER))) == []
    assert compare_rights([basis(None)], held(("collection:basic", None))) == []
    assert compare_rights([basis(EARLIER)], held()) == [], "what is over is in neither"
    assert compare_rights([basis(None)], held(removed=("s-1",))) == [], "its owner removed it"


def test_what_is_left_after_the_grace_ends_later() -> None:
    left = basis(LATER, reduced_grants=["collection:basic"], reduced_until="2026-04-18T21:00:00Z")
    left["grants"] = ["collection:basic", "feature:uhd"]
    rights = (("collection:basic", "2026-04-18T21:00:00Z"), ("feature:uhd", LATER))
    assert compare_rights([left], held(*rights)) == []
    assert len(compare_rights([left], held(("collection:basic", LATER), ("feature:uhd", LATER)))) == 2
    over = left | {"until": EARLIER}
    assert compare_rights([over], held(rights[0])) == [], "only what is left stands after the grace"


def test_a_right_that_is_lacking_too_much_or_too_long_is_told() -> None:
    assert "lacks collection:basic" in compare_rights([basis()], held())[0]
    assert "without a basis" in compare_rights([], held(("collection:basic", LATER)))[0]
    assert len(compare_rights([basis()], held(("collection:basic", None)))) == 2


class Suite(BaseHTTPRequestHandler):
    """The three services in one, with one payment in two pages of PayAPI's list."""

    captured_at_billing = 49_900
    pending = 0

    def answer_to(self, path: str, query: dict[str, list[str]]) -> dict[str, Any]:
        whole = {"next_cursor": None}
        if path == "/internal/v1/quiescence":
            return {"quiet": not Suite.pending, "pending": {"outbox": Suite.pending}}
        if path == "/internal/v1/invariants":
            return {"items": [{"name": "ledger_balanced", "offending": []}]}
        if path == "/v1/payments":
            first = "cursor" not in query
            return {"items": [payment(1 if first else 2)], "next_cursor": "next" if first else None}
        if path == "/internal/v1/payments":
            return whole | {"items": [payment(), payment(2, captured=Suite.captured_at_billing)]}
        if path == "/oracle":
            return {"totals": {"RUB": {"net": 99_800}}}
        if path == "/internal/v1/access-bases":
            return whole | {"items": [basis()]}
        if path == "/internal/v1/subscriptions":
            return whole | {"items": [{"user_id": "anna"}]}
        assert path == "/internal/v1/access-rights", path
        return held(("collection:basic", LATER))

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        content = json.dumps(self.answer_to(address.path, parse_qs(address.query))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def services() -> Iterator[Services]:
    Suite.captured_at_billing, Suite.pending = 49_900, 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Suite)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    urls = dict.fromkeys(("user_api", "pay_api", "billing_api", "cloudpayments_sandbox"), url)
    yield Services(urls, dict.fromkeys(("user-api", "pay-api", "billing-api"), "t"))
    server.shutdown()
    server.server_close()


def test_services_that_agree(services: Services) -> None:
    said: list[str] = []
    assert run(services, said.append) == 0
    assert sum("ok" in line for line in said) == 5
    assert said[-1] == "the services agree"


def test_services_that_do_not(services: Services) -> None:
    Suite.captured_at_billing = 1
    said: list[str] = []
    assert run(services, said.append) == 1
    assert any("payment payment-2: captured is" in line for line in said)
    assert said[-1] == "1 checks do not hold"


def test_what_is_in_flight_is_told(services: Services) -> None:
    Suite.pending = 3
    said: list[str] = []
    assert run(services, said.append, patience_seconds=0.1) == 1
    assert any('user-api {"outbox": 3}' in line for line in said)
