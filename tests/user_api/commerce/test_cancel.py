"""Cancelling: payments and subscriptions, by their owner only, and resumable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.user_api.commerce.conftest import Catalogue, Person, SignUp, card
from tests.user_api.commerce.fakes import FakeBillingApi, FakePayApi


async def test_a_paid_payment_is_refunded(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, billing: FakeBillingApi, deliver: Any
) -> None:
    bought = (await anna.buy(await catalogue.product("feature:uhd"))).json()
    await deliver()
    path = f"/v1/me/payments/{bought['payment']['id']}/cancel"
    key = str(uuid4())
    answer = await anna.post(path, {}, key)
    assert answer.status_code == 200, answer.text
    assert answer.json()["payment"]["status"] == "refunded"
    assert answer.json()["payment"]["refunded"] == {"amount": 49900, "currency": "RUB"}
    assert (await anna.post(path, {}, key)).json() == answer.json()
    _, asked = next(call for call in billing.calls if call[0] == "cancellation")
    assert asked["status"] == "succeeded"
    _, ordered = next(call for call in pay.calls if call[0] == "cancel")
    assert ordered["cancellation_id"] == answer.json()["cancellation_id"]
    again = await anna.post(path, {})
    assert (again.status_code, again.json()["rule"]) == (409, "already-over")


async def test_a_payment_under_way_is_closed(anna: Person, catalogue: Catalogue, pay: FakePayApi) -> None:
    bought = (await anna.buy(await catalogue.product("feature:uhd"), payment=card("challenge"))).json()
    answer = await anna.post(f"/v1/me/payments/{bought['payment']['id']}/cancel", {})
    assert answer.json()["payment"]["status"] == "cancelled"
    assert answer.json()["payment"]["next_action"] is None
    pay.payments[UUID(bought["payment"]["id"])]["status"] = "processing"
    refused = await anna.post(f"/v1/me/payments/{bought['payment']['id']}/cancel", {})
    assert refused.json()["type"] == "/problems/payment-in-progress"


@pytest.mark.parametrize(
    ("service", "operation", "when"),
    [("billing", "cancellation", "after"), ("pay", "cancel", "before"), ("pay", "cancel", "after")],
)
async def test_a_broken_cancellation_resumes_as_the_same_one(
    anna: Person,
    catalogue: Catalogue,
    pay: FakePayApi,
    billing: FakeBillingApi,
    service: str,
    operation: str,
    when: Any,
) -> None:
    bought = (await anna.buy(await catalogue.product("feature:uhd"))).json()
    (pay if service == "pay" else billing).crash(operation, when)
    path, key = f"/v1/me/payments/{bought['payment']['id']}/cancel", str(uuid4())
    assert (await anna.post(path, {}, key)).status_code == 503
    answer = await anna.post(path, {}, key)
    assert answer.status_code == 200, answer.text
    payment = pay.payments[UUID(bought["payment"]["id"])]
    assert payment["refunded"]["amount"] == 49900
    ids = {body["cancellation_id"] for name, body in pay.calls if name == "cancel"}
    assert ids == {answer.json()["cancellation_id"]}


async def test_subscriptions_are_cancelled_and_taken_back(anna: Person, catalogue: Catalogue) -> None:
    bought = (await anna.buy(await catalogue.product("feature:uhd"))).json()
    path = f"/v1/me/subscriptions/{bought['subscription']['id']}"
    cancelled = await anna.post(f"{path}/cancel", {})
    assert cancelled.json()["subscription"]["cancel_at_period_end"]
    assert (await anna.get(path)).json()["cancel_at_period_end"]
    taken_back = await anna.post(f"{path}/reactivate", {})
    assert not taken_back.json()["subscription"]["cancel_at_period_end"]
    assert (await anna.post(f"{path}/reactivate", {})).json()[
        "type"
    ] == "/problems/subscription-not-cancelling"
    now = await anna.post(f"{path}/cancel", {"mode": "now", "refund_unused": True})
    assert now.json()["subscription"]["status"] == "cancelled"
    assert (await anna.post(f"{path}/cancel", {"mode": "later"})).status_code == 422
    assert len((await anna.get("/v1/me/subscriptions")).json()["items"]) == 1
    owned = bought["subscription"]["id"]
    assert (await anna.delete(f"/v1/me/products/{owned}")).status_code == 404  # not heard of yet


async def test_a_subscription_is_not_removed_like_a_product(
    anna: Person, catalogue: Catalogue, billing: FakeBillingApi, deliver: Any
) -> None:
    bought = (await anna.buy(await catalogue.product("feature:uhd"))).json()
    billing.settle(UUID(bought["subscription"]["id"]))
    await deliver()
    answer = await anna.delete(f"/v1/me/products/{bought['subscription']['id']}")
    assert answer.json()["type"] == "/problems/subscription-must-be-cancelled"
    assert await anna.may("feature:uhd")


async def test_what_is_somebody_elses_does_not_exist(
    anna: Person,
    sign_up: SignUp,
    catalogue: Catalogue,
    pay: FakePayApi,
    billing: FakeBillingApi,
    deliver: Any,
    rows: Callable[..., Any],
) -> None:
    consent = {"text_version": "1", "accepted": True}
    product = await catalogue.product("feature:uhd")
    bought = (await anna.buy(product, payment=card(save=True), consent=consent)).json()
    billing.settle(UUID(bought["subscription"]["id"]))
    await deliver()
    (recurring,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    boris = await sign_up("boris@example.com")
    subscription, method = bought["subscription"]["id"], recurring["payment_method_id"]
    pay.calls.clear()
    billing.calls.clear()
    before = await rows("SELECT count(*) FROM idempotency_key WHERE response_status < 400")

    async def both(call: Callable[[str], Any], path: str, thing: str) -> None:
        """Foreign and missing give the same answer."""
        foreign, missing = await call(path.format(thing)), await call(path.format(uuid4()))
        assert foreign.status_code == missing.status_code == 404, (path, foreign.text, missing.text)
        assert foreign.json()["type"] == missing.json()["type"]
        assert foreign.json()["detail"]

    async def post(path: str) -> Any:
        return await boris.post(path, {"payment": card()} if path.endswith("/pay") else {})

    await both(boris.get, "/v1/me/payments/{}", bought["payment"]["id"])
    await both(post, "/v1/me/payments/{}/cancel", bought["payment"]["id"])
    await both(boris.get, "/v1/me/subscriptions/{}", subscription)
    await both(post, "/v1/me/subscriptions/{}/cancel", subscription)
    await both(post, "/v1/me/subscriptions/{}/reactivate", subscription)
    await both(post, "/v1/me/invoices/{}/pay", bought["invoice"]["id"])
    await both(boris.delete, "/v1/me/products/{}", subscription)
    await both(boris.delete, "/v1/me/payment-methods/{}", method)
    await both(boris.delete, "/v1/me/recurring-payments/{}", recurring["id"])
    changed = await boris.patch(f"/v1/me/recurring-payments/{recurring['id']}", {"payment_method_id": method})
    assert changed.status_code == 404
    given = {"subscription_id": subscription, "payment_method_id": method, "consent": consent}
    assert (await boris.post("/v1/me/recurring-payments", given)).status_code == 404
    for path in ("payments", "products", "payment-methods", "recurring-payments", "subscriptions"):
        assert (await boris.get(f"/v1/me/{path}")).json()["items"] == []
    assert [name for name, _ in pay.calls + billing.calls if name != "get"] == []
    assert await rows("SELECT count(*) FROM idempotency_key WHERE response_status < 400") == before
    assert (await anna.get("/v1/me/recurring-payments")).json()["items"] == [recurring]
