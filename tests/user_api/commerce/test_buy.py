"""Buying: one subscription and one charge, whatever breaks and however often it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.user_api.commerce.conftest import CONSENT, CRYPTOGRAM, Catalogue, Person, SignUp, card
from tests.user_api.commerce.fakes import FakeBillingApi, FakePayApi


async def test_a_purchase_pays_and_grants(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, billing: FakeBillingApi, deliver: Any
) -> None:
    product = await catalogue.product("collection:basic")
    assert not await anna.may("collection:basic")

    answer = await anna.buy(product, payment=card(save=True), consent=CONSENT)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["subscription"]["status"] == "incomplete"
    assert body["invoice"]["amount_due"] == {"amount": 49900, "currency": "RUB"}
    assert body["payment"]["status"] == "succeeded"
    assert set(body["payment"]) == {
        "id", "invoice_id", "status", "amount", "refunded", "card_mask", "next_action", "decline",
        "events_url", "created_at",
    }  # fmt: skip
    assert not await anna.may("collection:basic")  # money is not access: BillingAPI's event is

    billing.settle(UUID(body["subscription"]["id"]))
    await deliver()
    assert await anna.may("collection:basic")
    listed = (await anna.get("/v1/me/payments")).json()["items"]
    assert [item["id"] for item in listed] == [body["payment"]["id"]]
    (consent,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    assert consent["status"] == "active"
    assert consent["text_version"] == "2026-01"
    (method,) = (await anna.get("/v1/me/payment-methods")).json()["items"]
    assert method["id"] == consent["payment_method_id"]
    (owned,) = (await anna.get("/v1/me/products")).json()["items"]
    assert owned["product_id"] == str(product)
    assert len(pay.charges) == 1


async def test_the_same_key_replays(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, rows: Callable[..., Any]
) -> None:
    product = await catalogue.product("collection:basic")
    key = str(uuid4())
    first, second = await anna.buy(product, key), await anna.buy(product, key)
    assert second.status_code == 201
    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len(pay.charges) == 1
    other_card = await anna.buy(product, key, payment=card("another-card"))
    assert other_card.status_code == 422
    assert other_card.json()["type"] == "/problems/idempotency-key-reused"
    assert len(await rows("SELECT 1 FROM payments")) == 1


async def test_a_double_click_in_flight_is_one_charge(
    anna: Person, catalogue: Catalogue, pay: FakePayApi
) -> None:
    product = await catalogue.product("collection:basic")
    key = str(uuid4())
    pay.hold["start"] = asyncio.Event()
    first = asyncio.create_task(anna.buy(product, key))
    await pay.reached.wait()
    second = await anna.buy(product, key)
    assert second.status_code == 409
    assert second.headers["Retry-After"]
    pay.hold.pop("start").set()
    assert (await first).status_code == 201
    assert len(pay.charges) == 1


async def test_two_tabs_are_one_charge(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, rows: Callable[..., Any]
) -> None:
    product = await catalogue.product("collection:basic")
    answers = await asyncio.gather(*(anna.buy(product) for _ in range(5)))
    won = [answer for answer in answers if answer.status_code == 201]
    lost = [answer for answer in answers if answer.status_code != 201]
    assert len(won) == 1
    for answer in lost:
        assert answer.status_code == 409
        assert answer.json()["type"] == "/problems/payment-in-progress"
        assert answer.json()["payment_id"] == won[0].json()["payment"]["id"]
    assert len(pay.charges) == 1
    assert len(await rows("SELECT 1 FROM payments")) == 1  # the losers left nothing behind


@pytest.mark.parametrize(
    ("service", "operation", "when"),
    [
        ("billing", "start", "before"),
        ("billing", "start", "after"),
        ("pay", "start", "before"),
        ("pay", "start", "after"),
    ],
)
async def test_a_broken_run_resumes_without_a_second_charge(
    anna: Person,
    catalogue: Catalogue,
    pay: FakePayApi,
    billing: FakeBillingApi,
    rows: Callable[..., Any],
    service: str,
    operation: str,
    when: Any,
) -> None:
    product = await catalogue.product("collection:basic")
    key = str(uuid4())
    (pay if service == "pay" else billing).crash(operation, when)
    broken = await anna.buy(product, key, payment=card(save=True), consent=CONSENT)
    assert broken.status_code == 503
    assert broken.json()["type"] == f"/problems/{service}-api-unavailable"
    assert (await anna.get("/v1/me/payments")).json()["items"] == []  # an intent is not a payment yet

    resumed = await anna.buy(product, key, payment=card(save=True), consent=CONSENT)
    assert resumed.status_code == 201, resumed.text
    assert resumed.json()["payment"]["status"] == "succeeded"
    assert len(pay.charges) == 1
    assert len(billing.subscriptions) == 1
    assert len(await rows("SELECT 1 FROM payments")) == 1
    assert [row["status"] for row in await rows("SELECT status FROM recurring_payments")] == ["active"]


async def test_a_declined_card_then_another(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, billing: FakeBillingApi, deliver: Any
) -> None:
    product = await catalogue.product("collection:basic")
    declined = await anna.buy(product, payment=card("declined", save=True), consent=CONSENT)
    assert declined.status_code == 201
    payment = declined.json()["payment"]
    assert payment["status"] == "failed"
    assert payment["decline"]["code"] == "insufficient-funds"
    invoice_id = declined.json()["invoice"]["id"]
    await deliver()
    (consent,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    assert consent["status"] == "revoked"

    paid = await anna.post(
        f"/v1/me/invoices/{invoice_id}/pay", {"payment": card(save=True), "consent": CONSENT}
    )
    assert paid.status_code == 201
    assert paid.json()["payment"]["status"] == "succeeded"
    assert paid.json()["payment"]["id"] != payment["id"]
    # The window between the success and its event: PayAPI alone knows, and refuses.
    again = await anna.post(f"/v1/me/invoices/{invoice_id}/pay", {"payment": card("third")})
    assert again.status_code == 409
    assert again.json()["payment_id"] == paid.json()["payment"]["id"]
    billing.settle(UUID(declined.json()["subscription"]["id"]))
    await deliver()
    after = await anna.post(f"/v1/me/invoices/{invoice_id}/pay", {"payment": card("fourth")})
    assert after.json()["type"] == "/problems/invoice-not-payable"
    assert len(pay.charges) == 1
    statuses = {item["status"] for item in (await anna.get("/v1/me/recurring-payments")).json()["items"]}
    assert statuses == {"revoked", "active"}


async def test_a_debt_is_paid_like_any_invoice_and_its_receipt_adds_up(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, billing: FakeBillingApi
) -> None:
    """Its lines are of nothing: money spent from the balance before it went back."""
    bought = (await anna.buy(await catalogue.product("collection:basic"))).json()
    debt = billing.open_invoice(UUID(bought["subscription"]["id"]), 30000, "debt")
    nothing = {"amount": 0, "currency": "RUB"}
    debt |= {"subscription_id": None, "total": nothing, "lines": [debt["lines"][0] | {"net": nothing}]}
    paid = await anna.post(f"/v1/me/invoices/{debt['id']}/pay", {"payment": card()})
    assert (paid.status_code, paid.json()["payment"]["status"]) == (201, "succeeded"), paid.text
    (line,) = json.loads(pay.bodies[-1])["receipt"]["lines"]
    assert (line["amount"]["amount"], line["vat_rate_bp"]) == (30000, 2200)
    agreed = await anna.post(f"/v1/me/invoices/{debt['id']}/pay", {"payment": card(), "consent": CONSENT})
    assert agreed.status_code == 422


async def test_a_challenge_asks_for_a_redirect_until_it_is_over(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, deliver: Any
) -> None:
    product = await catalogue.product("collection:basic")
    answer = await anna.buy(product, payment=card("challenge"), return_url="http://127.0.0.1:8080/done")
    payment = answer.json()["payment"]
    assert payment["status"] == "action_required"
    assert payment["next_action"] == {"kind": "redirect", "step": "3ds", "url": "https://cinema.test/3ds"}
    await deliver()
    path = f"/v1/me/payments/{payment['id']}"
    assert (await anna.get(path)).json()["next_action"] == payment["next_action"]
    pay.succeed(UUID(payment["id"]))
    await deliver()
    shown = (await anna.get(path)).json()
    assert (shown["status"], shown["next_action"]) == ("succeeded", None)


async def test_another_product_closes_the_unpaid_one_first(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, billing: FakeBillingApi
) -> None:
    first, second = await catalogue.product("collection:a"), await catalogue.product("collection:b")
    began = (await anna.buy(first, payment=card("challenge"))).json()
    answer = await anna.buy(second)
    assert answer.status_code == 201, answer.text
    assert billing.subscriptions[UUID(began["subscription"]["id"])]["status"] == "cancelled"
    assert pay.payments[UUID(began["payment"]["id"])]["status"] == "cancelled"
    assert UUID(began["invoice"]["id"]) in pay.closed
    order = [name for name, _ in billing.calls]
    assert order == ["start", "start", "abandon", "start"]


async def test_another_product_waits_for_a_payment_in_flight(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, billing: FakeBillingApi
) -> None:
    first, second = await catalogue.product("collection:a"), await catalogue.product("collection:b")
    began = (await anna.buy(first, payment=card("challenge"))).json()
    pay.payments[UUID(began["payment"]["id"])]["status"] = "unknown"
    key = str(uuid4())
    answer = await anna.buy(second, key)
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/payment-in-progress"
    assert answer.json()["payment_id"] == began["payment"]["id"]
    assert billing.count("abandon") == 0
    pay.fail(UUID(began["payment"]["id"]))
    assert (await anna.buy(second, key)).status_code == 201  # the same key goes on where it stopped


async def test_nothing_to_pay_is_no_payment(anna: Person, catalogue: Catalogue, pay: FakePayApi) -> None:
    product = await catalogue.product("collection:basic", price=0)
    answer = await anna.buy(product)
    assert answer.status_code == 201
    assert answer.json()["payment"] is None
    assert answer.json()["subscription"]["status"] == "active"
    assert pay.calls == []


async def test_a_trial_keeps_the_new_card_and_its_consent(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, deliver: Any
) -> None:
    """Nothing is due, so nothing is charged; what comes later needs the card."""
    product, key = await catalogue.product("collection:basic", price=0), str(uuid4())
    pay.crash("add", "after")
    order = {"payment": card(save=True), "consent": CONSENT}
    assert (await anna.buy(product, key, **order)).status_code == 503
    answer = await anna.buy(product, key, **order)
    assert answer.status_code == 201, answer.text
    assert answer.json()["payment"]["amount"] == {"amount": 100, "currency": "RUB"}
    assert (pay.charges, len(pay.payments)) == ([], 1)
    await deliver()
    (consent,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    (method,) = (await anna.get("/v1/me/payment-methods")).json()["items"]
    assert (consent["status"], consent["payment_method_id"]) == ("active", method["id"])
    assert consent["subscription_id"] == answer.json()["subscription"]["id"]


async def test_a_trial_with_a_declined_card_runs_without_a_consent(
    anna: Person, catalogue: Catalogue, deliver: Any
) -> None:
    product = await catalogue.product("collection:basic", price=0)
    answer = await anna.buy(product, payment=card("declined", save=True), consent=CONSENT)
    assert answer.status_code == 201
    assert answer.json()["payment"]["decline"]["code"] == "insufficient-funds"
    await deliver()
    (consent,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    assert consent["status"] == "revoked"


async def test_a_saved_method_pays(
    anna: Person, sign_up: SignUp, catalogue: Catalogue, billing: FakeBillingApi, deliver: Any
) -> None:
    first = await anna.buy(await catalogue.product("collection:a"), payment=card(save=True))
    billing.subscriptions[UUID(first.json()["subscription"]["id"])]["status"] = "expired"
    await deliver()
    (method,) = (await anna.get("/v1/me/payment-methods")).json()["items"]
    saved = {"kind": "saved_method", "payment_method_id": method["id"]}
    product = await catalogue.product("collection:b")
    boris = await sign_up("boris@example.com")
    foreign = await boris.buy(product, payment=saved)
    assert foreign.status_code == 404
    assert foreign.json()["type"] == "/problems/payment-method-not-found"
    assert (await anna.buy(product, payment=saved)).json()["payment"]["status"] == "succeeded"
    assert billing.started[-1].payment_method_id is None, "a card without the consent to charge it"
    billing.subscriptions[max(billing.subscriptions)]["status"] = "expired"
    await anna.buy(await catalogue.product("collection:c"), payment=saved, consent=CONSENT)
    assert str(billing.started[-1].payment_method_id) == method["id"]


async def test_a_one_time_purchase(
    anna: Person, catalogue: Catalogue, billing: FakeBillingApi, deliver: Any
) -> None:
    movie = f"movie:{uuid4()}"
    product = await catalogue.product(movie, kind="one_time")
    wrong = await anna.buy(product)
    assert wrong.json()["type"] == "/problems/product-kind-mismatch"
    assert billing.calls == []
    answer = await anna.post("/v1/me/purchases", {"product_id": str(product), "payment": card()})
    assert answer.status_code == 201, answer.text
    purchase = answer.json()["purchase"]
    billing.tell(UUID(purchase["id"]), "subscription.activated", None, status="active", grants_access=True)
    await deliver()
    assert await anna.may(movie)
    removed = await anna.delete(f"/v1/me/products/{purchase['id']}")
    assert removed.status_code == 204
    assert not await anna.may(movie)
    # A later word of BillingAPI does not bring it back.
    billing.tell(UUID(purchase["id"]), "subscription.changed", None, status="active", grants_access=True)
    await deliver()
    assert not await anna.may(movie)
    assert (await anna.get("/v1/me/products")).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"promo_code": "EXPIRED"}, 422, "promo-code-expired"),
        ({"expected_amount": {"amount": 1, "currency": "RUB"}}, 409, "price-changed"),
        ({"expected_amount": {"amount": 1.5, "currency": "RUB"}}, 422, "invalid-request"),
        ({"product_id": str(uuid4())}, 404, "product-not-found"),
        ({"product_id": "x"}, 422, "invalid-request"),
        ({"payment": card("garbage")}, 422, "cryptogram-invalid"),
        ({"payment": {"kind": "cash"}}, 422, "invalid-request"),
        ({"payment": card() | {"amount": 1}}, 422, "invalid-request"),
        ({"user_id": str(uuid4())}, 422, "invalid-request"),
        ({"return_url": "https://evil.example/"}, 422, "return-url-not-allowed"),
        ({"return_url": "http://127.0.0.1:8080@evil.example/"}, 422, "return-url-not-allowed"),
        ({"return_url": "javascript:alert(1)"}, 422, "return-url-not-allowed"),
        ({"consent": CONSENT}, 422, "consent-needs-saved-method"),
        ({"consent": {"text_version": "1", "accepted": False}}, 422, "invalid-request"),
    ],
)
async def test_a_bad_order_is_refused_and_leaves_nothing(
    anna: Person,
    catalogue: Catalogue,
    rows: Callable[..., Any],
    change: dict[str, Any],
    status: int,
    code: str,
) -> None:
    product = await catalogue.product("collection:basic")
    answer = await anna.post("/v1/me/subscriptions", {"product_id": str(product), "payment": card()} | change)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), answer.text
    assert await rows("SELECT 1 FROM payments") == []
    assert await rows("SELECT 1 FROM recurring_payments") == []


async def test_the_cryptogram_is_nowhere(
    anna: Person,
    catalogue: Catalogue,
    pay: FakePayApi,
    rows: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    product = await catalogue.product("collection:basic")
    key = str(uuid4())
    pay.crash("start", "before")
    assert (await anna.buy(product, key)).status_code == 503
    assert (await anna.buy(product, key)).status_code == 201
    assert CRYPTOGRAM.encode() in pay.bodies[-1]
    for table in await rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        for row in await rows(f'SELECT t::text AS whole FROM "{table["tablename"]}" t'):
            assert CRYPTOGRAM not in row["whole"], table["tablename"]
    said = capsys.readouterr()
    assert CRYPTOGRAM not in said.out + said.err


async def test_quotes_are_billing_own(anna: Person, catalogue: Catalogue) -> None:
    product = await catalogue.product("collection:basic", price=29900)
    answer = await anna._client.post("/v1/quotes", headers=anna.headers, json={"product_id": str(product)})
    assert answer.json()["amount_due"] == {"amount": 29900, "currency": "RUB"}
