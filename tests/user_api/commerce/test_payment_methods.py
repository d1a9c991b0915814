"""Cards saved without a purchase, and purchases paid in the hosted checkout."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.clock import ManualClock
from tests.user_api.commerce.conftest import CONSENT, CRYPTOGRAM, PASSWORD, Catalogue, Person, card
from tests.user_api.commerce.fakes import FakeBillingApi, FakePayApi
from user_api.user_service import confirm_password


async def test_a_card_is_saved_without_a_purchase(anna: Person, pay: FakePayApi, deliver: Any) -> None:
    key = str(uuid4())
    body = {"card_cryptogram": CRYPTOGRAM, "cardholder_name": "ANNA IVANOVA"}
    answer = await anna.post("/v1/me/payment-methods", body, key)
    assert answer.status_code == 201, answer.text
    payment = answer.json()["payment"]
    assert payment["amount"] == {"amount": 100, "currency": "RUB"}
    assert payment["invoice_id"] is None
    again = await anna.post("/v1/me/payment-methods", body, key)
    assert again.json() == answer.json()
    assert pay.count("add") == 1
    await deliver()
    (method,) = (await anna.get("/v1/me/payment-methods")).json()["items"]
    assert method["id"] == pay.payments[UUID(payment["id"])]["payment_method_id"]


async def test_a_declined_card_is_told_and_not_saved(anna: Person, deliver: Any) -> None:
    answer = await anna.post("/v1/me/payment-methods", {"card_cryptogram": "declined-card"})
    assert answer.status_code == 201
    assert answer.json()["payment"]["decline"]["code"] == "insufficient-funds"
    await deliver()
    assert (await anna.get("/v1/me/payment-methods")).json()["items"] == []


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_broken_run_resumes_with_one_check(anna: Person, pay: FakePayApi, when: Any) -> None:
    key, body = str(uuid4()), {"card_cryptogram": CRYPTOGRAM}
    pay.crash("add", when)
    assert (await anna.post("/v1/me/payment-methods", body, key)).status_code == 503
    answer = await anna.post("/v1/me/payment-methods", body, key)
    assert answer.status_code == 201, answer.text
    assert len(pay.payments) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"card_cryptogram": ""},
        {"card_cryptogram": CRYPTOGRAM, "save_method": True},
        {"card_cryptogram": CRYPTOGRAM, "return_url": "https://evil.example/"},
    ],
)
async def test_bad_requests_leave_nothing(
    anna: Person, pay: FakePayApi, rows: Callable[..., Any], body: dict[str, Any]
) -> None:
    assert (await anna.post("/v1/me/payment-methods", body)).status_code == 422
    assert pay.payments == {}


async def test_a_card_is_changed_with_the_password_once_the_sign_in_is_old(
    anna: Person,
    catalogue: Catalogue,
    pay: FakePayApi,
    deliver: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    product = await catalogue.product("collection:basic")
    paid = card(save=True)
    assert (await anna.buy(product, payment=paid, consent=CONSENT)).status_code == 201
    await deliver()
    (recurring,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    route, other = f"/v1/me/recurring-payments/{recurring['id']}", recurring["payment_method_id"]
    asked = {"/v1/me/payment-methods": {"card_cryptogram": CRYPTOGRAM}, route: {"payment_method_id": other}}
    checks = pay.count("add")

    async def statuses(**fields: str) -> list[tuple[int, str]]:
        answers = [
            await (anna.patch if path == route else anna.post)(path, body | fields)
            for path, body in asked.items()
        ]
        return [(answer.status_code, answer.json().get("type", "")) for answer in answers]

    later = datetime.now(UTC) + timedelta(minutes=5, seconds=1)
    monkeypatch.setattr(confirm_password, "SystemClock", lambda: ManualClock(later))
    assert await statuses() == [(403, "/problems/password-required")] * 2
    wrong = await statuses(current_password="not the password")
    assert wrong == [(403, "/problems/password-incorrect")] * 2
    assert pay.count("add") == checks
    assert await statuses(current_password=PASSWORD) == [(201, ""), (200, "")]
    monkeypatch.setattr(confirm_password, "SystemClock", lambda: ManualClock(later - timedelta(seconds=2)))
    assert await statuses() == [(201, ""), (200, "")]
    assert pay.count("add") == checks + 2


@pytest.mark.parametrize("ends_first", [False, True])
async def test_a_new_consent_with_another_card_needs_the_password_too(
    anna: Person, catalogue: Catalogue, deliver: Any, monkeypatch: pytest.MonkeyPatch, ends_first: bool
) -> None:
    """Whoever holds a stolen token does not get around the change of cards by a consent that replaces it."""
    product = await catalogue.product("collection:basic")
    bought = await anna.buy(product, payment=card(save=True))
    await anna.post("/v1/me/payment-methods", {"card_cryptogram": CRYPTOGRAM})
    await deliver()
    other, first = [one["id"] for one in (await anna.get("/v1/me/payment-methods")).json()["items"]]
    later = datetime.now(UTC) + timedelta(minutes=5, seconds=1)
    monkeypatch.setattr(confirm_password, "SystemClock", lambda: ManualClock(later))

    async def agree(method: str, key: str | None = None, **fields: str) -> tuple[int, str]:
        body = {"subscription_id": bought.json()["subscription"]["id"], "payment_method_id": method}
        answer = await anna.post("/v1/me/recurring-payments", body | {"consent": CONSENT} | fields, key)
        return answer.status_code, answer.json().get("type", "")

    assert await agree(first) == (201, "")  # a first consent replaces nothing
    assert await agree(first) == (201, "")
    if ends_first:
        for one in (await anna.get("/v1/me/recurring-payments")).json()["items"]:
            await anna.delete(f"/v1/me/recurring-payments/{one['id']}")
    key = str(uuid4())
    assert await agree(other, key) == (403, "/problems/password-required")
    assert await agree(other, key, current_password="not it") == (403, "/problems/password-incorrect")
    listed = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    assert {one["payment_method_id"] for one in listed} == {first}
    assert await agree(other, key, current_password=PASSWORD) == (201, "")
    assert await agree(other, key, current_password=PASSWORD) == (201, "")
    listed = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    assert [one["payment_method_id"] for one in listed].count(other) == 1


@pytest.mark.parametrize("through", ["pay", "change-product"])
async def test_a_payment_that_agrees_on_another_card_needs_the_password_too(
    anna: Person,
    catalogue: Catalogue,
    billing: FakeBillingApi,
    pay: FakePayApi,
    deliver: Any,
    monkeypatch: pytest.MonkeyPatch,
    through: str,
) -> None:
    bought = await anna.buy(
        await catalogue.product("collection:basic"), payment=card(save=True), consent=CONSENT
    )
    await anna.post("/v1/me/payment-methods", {"card_cryptogram": CRYPTOGRAM})
    subscription_id = UUID(bought.json()["subscription"]["id"])
    billing.settle(subscription_id)
    await deliver()
    other, agreed = [one["id"] for one in (await anna.get("/v1/me/payment-methods")).json()["items"]]
    path, body = f"/v1/me/subscriptions/{subscription_id}/change-product", {}
    if through == "change-product":
        body = {"product_id": str(await catalogue.product("collection:premium", price=79900))}
    later = datetime.now(UTC) + timedelta(minutes=5, seconds=1)
    monkeypatch.setattr(confirm_password, "SystemClock", lambda: ManualClock(later))

    async def paid(payment: dict[str, Any], key: str | None = None, **fields: Any) -> tuple[int, str]:
        if through == "pay":
            nonlocal path
            path = f"/v1/me/invoices/{billing.open_invoice(subscription_id, 49900, 'renewal')['id']}/pay"
        answer = await anna.post(path, body | {"payment": payment} | fields, key)
        return answer.status_code, answer.json().get("type", "")

    def saved(method: str) -> dict[str, Any]:
        return {"kind": "saved_method", "payment_method_id": method}

    charges = len(pay.charges)
    for payment in (saved(other), card(save=True)):
        assert await paid(payment, consent=CONSENT) == (403, "/problems/password-required")
        wrong = await paid(payment, consent=CONSENT, current_password="not it")
        assert wrong == (403, "/problems/password-incorrect")
    assert len(pay.charges) == charges
    ok = 201 if through == "pay" else 200
    if through == "pay":  # the card agreed before, and a payment that agrees on nothing
        assert await paid(saved(agreed), consent=CONSENT) == await paid(saved(other)) == (ok, "")
    assert await paid(saved(other), consent=CONSENT, current_password=PASSWORD) == (ok, "")
    await deliver()
    listed = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    assert [one["payment_method_id"] for one in listed if one["status"] == "active"] == [other]


async def test_a_purchase_in_the_hosted_checkout(anna: Person, catalogue: Catalogue, pay: FakePayApi) -> None:
    product = await catalogue.product("collection:basic")
    hosted = {"kind": "hosted", "save_method": True}
    answer = await anna.buy(product, payment=hosted, consent=CONSENT)
    assert answer.status_code == 201, answer.text
    payment = answer.json()["payment"]
    assert payment["status"] == "action_required"
    assert payment["next_action"]["step"] == "checkout"
    pay.succeed(UUID(payment["id"]))


async def test_consent_needs_the_card_saved_there_too(anna: Person, catalogue: Catalogue) -> None:
    product = await catalogue.product("collection:basic")
    answer = await anna.buy(product, payment={"kind": "hosted", "save_method": False}, consent=CONSENT)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/consent-needs-saved-method"
