"""Automatic charges: with a consent and a method that hold, or not at all; and money sent back by order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from shared.money import Money
from tests.user_api.commerce.conftest import CONSENT, Catalogue, Person, card
from tests.user_api.commerce.fakes import FakeBillingApi, FakePayApi

PRICE = Money(49900).as_json()


class Collector:
    """BillingAPI asking for payments."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self._client, self._headers = client, headers

    async def post(self, path: str, body: Any, key: Any = None) -> httpx.Response:
        headers = self._headers | {"Idempotency-Key": str(key or uuid4())}
        return await self._client.post(f"/internal/v1{path}", headers=headers, json=body)

    async def get(self, path: str) -> httpx.Response:
        return await self._client.get(f"/internal/v1{path}", headers=self._headers)

    async def collect(
        self, subscription: dict[str, Any], invoice: dict[str, Any], key: Any
    ) -> httpx.Response:
        body = {
            "user_id": subscription["user_id"],
            "subscription_id": subscription["id"],
            "invoice_id": invoice["id"],
            "amount": invoice["amount_due"],
            "description": "Подписка",
            "receipt": {
                "lines": [
                    {"label": "Подписка", "quantity": 1, "amount": invoice["amount_due"], "vat_rate_bp": 2200}
                ]
            },
        }
        return await self.post("/payments", body, key)


@pytest.fixture
def collector(client: httpx.AsyncClient, as_service: Callable[[str], dict[str, str]]) -> Collector:
    return Collector(client, as_service("billing-api"))


@pytest.fixture
async def subscribed(
    anna: Person, catalogue: Catalogue, billing: FakeBillingApi, deliver: Any
) -> dict[str, Any]:
    """Anna's subscription, paid with a saved card and with consent."""
    product = await catalogue.product("feature:uhd")
    bought = (await anna.buy(product, payment=card(save=True), consent=CONSENT)).json()
    billing.settle(UUID(bought["subscription"]["id"]))
    await deliver()
    return billing.subscriptions[UUID(bought["subscription"]["id"])]


@pytest.fixture
def renewal(subscribed: dict[str, Any], billing: FakeBillingApi) -> dict[str, Any]:
    return billing.open_invoice(UUID(subscribed["id"]), 49900, "renewal")


async def consent_of(anna: Person) -> dict[str, Any]:
    items = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    found: dict[str, Any] = items[0]
    return found


async def test_a_renewal_is_charged_to_the_saved_card(
    anna: Person, collector: Collector, subscribed: Any, renewal: Any, pay: FakePayApi, deliver: Any
) -> None:
    attempt = uuid4()
    answer = await collector.collect(subscribed, renewal, attempt)
    assert answer.status_code == 202, answer.text
    payment = answer.json()["payment"]
    assert (payment["id"], payment["status"], payment["initiator"]) == (str(attempt), "created", "merchant")
    assert payment["payment_method_id"] == (await consent_of(anna))["payment_method_id"]
    repeated = await collector.collect(subscribed, renewal, attempt)
    assert repeated.json()["payment"]["id"] == str(attempt)
    second = await collector.collect(subscribed, renewal, uuid4())
    assert second.json()["type"] == "/problems/payment-in-progress"
    pay.succeed(attempt)
    await deliver()
    shown = (await anna.get(f"/v1/me/payments/{attempt}")).json()
    assert shown["status"] == "succeeded"
    assert (await collector.get(f"/payments/{attempt}")).json()["status"] == "succeeded"
    listed = await collector.get(f"/payments?invoice_id={renewal['id']}")
    assert [item["id"] for item in listed.json()["items"]] == [str(attempt)]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_broken_collection_resumes_as_the_same_payment(
    collector: Collector, subscribed: Any, renewal: Any, pay: FakePayApi, when: Any
) -> None:
    attempt = uuid4()
    pay.crash("start", when)
    assert (await collector.collect(subscribed, renewal, attempt)).status_code == 503
    answer = await collector.collect(subscribed, renewal, attempt)
    assert answer.status_code == 202, answer.text
    assert len(pay.of_invoice(UUID(renewal["id"]))) == 1


async def test_a_collection_resumed_after_a_change_of_profile_is_the_same_payment(
    anna: Person, collector: Collector, subscribed: Any, renewal: Any, pay: FakePayApi
) -> None:
    """The receipt's address is another by then; PayAPI, asked first, has the payment already."""
    attempt = uuid4()
    pay.crash("start", "after")
    assert (await collector.collect(subscribed, renewal, attempt)).status_code == 503
    assert (await anna.patch("/v1/me", {"locale": "en"})).status_code == 200
    answer = await collector.collect(subscribed, renewal, attempt)
    assert (answer.status_code, answer.json()["payment"]["id"]) == (202, str(attempt)), answer.text
    assert pay.count("start") == 2  # the purchase and this one


async def test_no_consent_no_charge(
    anna: Person,
    collector: Collector,
    subscribed: Any,
    renewal: Any,
    pay: FakePayApi,
    rows: Callable[..., Any],
) -> None:
    consent = await consent_of(anna)
    assert (await anna.delete(f"/v1/me/recurring-payments/{consent['id']}")).status_code == 204
    assert (await anna.delete(f"/v1/me/recurring-payments/{consent['id']}")).status_code == 204
    answer = await collector.collect(subscribed, renewal, uuid4())
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/no-consent")
    assert pay.of_invoice(UUID(renewal["id"])) == []
    assert len(await rows("SELECT 1 FROM payments")) == 1
    given = {
        "subscription_id": subscribed["id"],
        "payment_method_id": consent["payment_method_id"],
        "consent": CONSENT,
    }
    again = await anna.post("/v1/me/recurring-payments", given)
    assert (again.status_code, again.json()["status"]) == (201, "active")
    # The new consent has collected it already; the run finds that and makes no second payment.
    refused = await collector.collect(subscribed, renewal, uuid4())
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/payment-in-progress")


async def test_revoking_closes_what_is_queued_and_spares_what_is_charged(
    anna: Person, collector: Collector, subscribed: Any, renewal: Any, pay: FakePayApi, deliver: Any
) -> None:
    queued = uuid4()
    await collector.collect(subscribed, renewal, queued)
    await anna.delete(f"/v1/me/recurring-payments/{(await consent_of(anna))['id']}")
    assert pay.payments[queued]["status"] == "cancelled"
    first = next(payment for payment in pay.payments.values() if payment["initiator"] == "customer")
    assert first["status"] == "succeeded"


async def test_a_charge_that_went_through_meanwhile_is_not_refunded_by_a_revocation(
    anna: Person, collector: Collector, subscribed: Any, renewal: Any, pay: FakePayApi
) -> None:
    queued = uuid4()
    await collector.collect(subscribed, renewal, queued)
    pay.succeed(queued)  # its event is still on the way
    await anna.delete(f"/v1/me/recurring-payments/{(await consent_of(anna))['id']}")
    assert pay.payments[queued]["status"] == "succeeded"
    assert pay.payments[queued]["refunded"]["amount"] == 0


async def test_a_detached_card_is_not_charged_even_if_pay_api_was_away(
    anna: Person, collector: Collector, subscribed: Any, renewal: Any, pay: FakePayApi
) -> None:
    method_id = (await consent_of(anna))["payment_method_id"]
    pay.crash("detach", "before")
    assert (await anna.delete(f"/v1/me/payment-methods/{method_id}")).status_code == 503
    answer = await collector.collect(subscribed, renewal, uuid4())
    assert answer.json()["type"] == "/problems/no-consent"
    assert (await anna.delete(f"/v1/me/payment-methods/{method_id}")).status_code == 204
    assert pay.methods[UUID(method_id)]["status"] == "detached"
    assert (await anna.get("/v1/me/payment-methods")).json()["items"] == []
    given = {"subscription_id": subscribed["id"], "payment_method_id": method_id, "consent": CONSENT}
    refused = await anna.post("/v1/me/recurring-payments", given)
    assert refused.json()["type"] == "/problems/payment-method-not-found"


async def test_a_method_gone_without_its_consent_is_no_method(
    anna: Person, collector: Collector, subscribed: Any, renewal: Any, rows: Callable[..., Any]
) -> None:
    await rows("UPDATE payment_methods SET detached_at = created_at")
    answer = await collector.collect(subscribed, renewal, uuid4())
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/no-method")


async def test_another_card_tries_the_open_invoice_at_once(
    anna: Person, collector: Collector, subscribed: Any, renewal: Any, pay: FakePayApi, deliver: Any
) -> None:
    consent = await consent_of(anna)
    paid = await anna.post(f"/v1/me/invoices/{renewal['id']}/pay", {"payment": card("declined")})
    assert paid.json()["payment"]["status"] == "failed"
    other = pay.methods[UUID(consent["payment_method_id"])] | {"status": "active"}
    new_method = uuid4()
    pay.methods[new_method] = other
    pay._tell_method(new_method, "payment_method.saved")
    await deliver()
    path = f"/v1/me/recurring-payments/{consent['id']}"
    changed = await anna.patch(path, {"payment_method_id": str(new_method)})
    assert changed.json()["payment_method_id"] == str(new_method)
    (retried,) = [p for p in pay.of_invoice(UUID(renewal["id"])) if p["status"] == "created"]
    assert (retried["payment_method_id"], retried["initiator"]) == (str(new_method), "merchant")
    await anna.delete(path)
    refused = await anna.patch(path, {"payment_method_id": str(new_method)})
    assert refused.json()["type"] == "/problems/recurring-payment-not-active"


async def test_a_card_that_is_declined_is_tried_twice_a_day_however_often_it_is_named(
    anna: Person, subscribed: Any, renewal: Any, pay: FakePayApi, deliver: Any, rows: Callable[..., Any]
) -> None:
    consent = await consent_of(anna)
    first, second = consent["payment_method_id"], str(uuid4())
    pay.methods[UUID(second)] = pay.methods[UUID(first)] | {"status": "active"}
    pay._tell_method(UUID(second), "payment_method.saved")
    await deliver()
    path = f"/v1/me/recurring-payments/{consent['id']}"

    async def tries_of(method: str) -> int:
        """Names the card; what is tried with it is declined."""
        before = len(pay.of_invoice(UUID(renewal["id"])))
        assert (await anna.patch(path, {"payment_method_id": method})).status_code == 200
        made = pay.of_invoice(UUID(renewal["id"]))[before:]
        for payment in made:
            payment["status"] = "failed"
        await rows("UPDATE payments SET status = 'failed' WHERE status = 'created'")
        return len(made)

    assert await tries_of(first) == 0  # it is the one that is charged already
    assert [await tries_of(method) for method in (second, second, first, second)] == [1, 0, 1, 1]
    assert [await tries_of(method) for method in (first, second, first, second)] == [1, 0, 0, 0]
    await rows("UPDATE payments SET created_at = created_at - interval '25 hours'")
    assert await tries_of(first) == 1


async def test_first_tries_of_other_invoices_count_for_the_card_too(
    collector: Collector,
    subscribed: Any,
    renewal: Any,
    billing: FakeBillingApi,
    pay: FakePayApi,
    rows: Callable[..., Any],
) -> None:
    for _ in range(2):
        assert (await collector.collect(subscribed, renewal, uuid4())).status_code == 202
        for payment in pay.of_invoice(UUID(renewal["id"])):
            payment["status"] = "failed"
        await rows("UPDATE payments SET status = 'failed' WHERE status = 'created'")
    other = billing.open_invoice(UUID(subscribed["id"]), 20000, "renewal")
    later = uuid4()
    refused = await collector.collect(subscribed, other, later)
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/card-limit")
    assert 23 * 3600 < int(refused.headers["Retry-After"]) <= 24 * 3600
    assert pay.of_invoice(UUID(other["id"])) == []
    await rows("UPDATE payments SET created_at = created_at - interval '25 hours'")
    assert (await collector.collect(subscribed, other, later)).status_code == 202


async def test_tries_not_decided_yet_are_waited_for(
    collector: Collector,
    subscribed: Any,
    renewal: Any,
    billing: FakeBillingApi,
    pay: FakePayApi,
    deliver: Any,
) -> None:
    invoices = [renewal, *(billing.open_invoice(UUID(subscribed["id"]), 9900, "renewal") for _ in "12")]
    attempts = [uuid4() for _ in invoices]
    first, second, third = [
        await collector.collect(subscribed, invoice, attempt)
        for invoice, attempt in zip(invoices, attempts, strict=True)
    ]
    assert (first.status_code, second.status_code, third.status_code) == (202, 202, 429)
    assert third.headers["Retry-After"] == "900"
    pay.succeed(attempts[0])
    await deliver()
    assert (await collector.collect(subscribed, invoices[2], attempts[2])).status_code == 202


async def test_charges_of_one_card_at_the_same_moment_count_one_after_the_other(
    anna: Person,
    catalogue: Catalogue,
    collector: Collector,
    subscribed: Any,
    billing: FakeBillingApi,
    deliver: Any,
    rows: Callable[..., Any],
) -> None:
    """Subscriptions of their own, so that nothing but the card is the same."""
    method_id = (await consent_of(anna))["payment_method_id"]
    saved = {"kind": "saved_method", "payment_method_id": method_id}
    subscriptions = [subscribed]
    for name in "bcd":
        subscriptions[-1]["status"] = "expired"  # to the stand-in, which knows one product group
        product = await catalogue.product(f"feature:{name}")
        bought = (await anna.buy(product, payment=saved, consent=CONSENT)).json()
        subscriptions.append(billing.subscriptions[UUID(bought["subscription"]["id"])])
        billing.settle(UUID(bought["subscription"]["id"]))
    await deliver()
    for _ in range(5):
        await rows("UPDATE payments SET created_at = created_at - interval '25 hours'")
        answers = await asyncio.gather(
            *(
                collector.collect(one, billing.open_invoice(UUID(one["id"]), 9900, "renewal"), uuid4())
                for one in subscriptions
            )
        )
        assert sorted(answer.status_code for answer in answers) == [202, 202, 429, 429]


async def test_a_new_consent_collects_what_is_open_at_once(
    anna: Person, subscribed: Any, billing: FakeBillingApi, pay: FakePayApi
) -> None:
    (consent,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    await anna.delete(f"/v1/me/recurring-payments/{consent['id']}")
    subscription_id = UUID(consent["subscription_id"])
    renewal = billing.open_invoice(subscription_id, 49900, "renewal")
    change = billing.open_invoice(subscription_id, 30000, "change")
    given = {
        "subscription_id": str(subscription_id),
        "payment_method_id": consent["payment_method_id"],
        "consent": {"text_version": "2026-02", "accepted": True},
    }
    assert (await anna.post("/v1/me/recurring-payments", given)).status_code == 201
    (collected,) = pay.of_invoice(UUID(renewal["id"]))
    assert (collected["status"], collected["initiator"]) == ("created", "merchant")
    assert pay.of_invoice(UUID(change["id"])) == []  # a change of product is the user's own to pay


async def test_refunds_and_cancellations_by_order(
    collector: Collector, subscribed: Any, pay: FakePayApi
) -> None:
    (payment_id,) = pay.payments
    order = uuid4()
    body = {"refund_order_id": str(order), "amount": Money(10000).as_json(), "reason": "goodwill"}
    path = f"/payments/{payment_id}/refunds"
    answer = await collector.post(path, body, order)
    assert (answer.status_code, answer.json()["payment"]["status"]) == (201, "partially_refunded")
    assert (await collector.post(path, body, order)).json() == answer.json()
    assert pay.payments[payment_id]["refunded"]["amount"] == 10000
    mismatch = await collector.post(path, body, uuid4())
    assert mismatch.json()["type"] == "/problems/idempotency-key-mismatch"
    cancellation = uuid4()
    rest = {"cancellation_id": str(cancellation), "amount": Money(39900).as_json(), "reason": "cancelled"}
    done = await collector.post(path, rest, cancellation)
    assert done.json()["payment"]["status"] == "refunded"
    both = await collector.post(path, rest | {"refund_order_id": str(cancellation)}, cancellation)
    assert both.status_code == 422
    free = await collector.post(path, body | {"amount": Money(0).as_json()}, order)
    assert free.status_code == 422


async def test_a_cancellation_of_nothing_captured_voids(
    anna: Person, catalogue: Catalogue, collector: Collector, pay: FakePayApi
) -> None:
    bought = (await anna.buy(await catalogue.product("feature:uhd"), payment=card("challenge"))).json()
    cancellation = uuid4()
    body = {"cancellation_id": str(cancellation), "amount": Money(0).as_json(), "reason": ""}
    done = await collector.post(f"/payments/{bought['payment']['id']}/refunds", body, cancellation)
    assert done.json()["payment"]["status"] == "cancelled"


async def test_an_invoices_payments_are_closed(
    collector: Collector, subscribed: Any, renewal: Any, pay: FakePayApi
) -> None:
    await collector.collect(subscribed, renewal, uuid4())
    answer = await collector.post(f"/invoices/{renewal['id']}/close-payments", {})
    assert answer.json() == {"invoice_id": renewal["id"], "result": "closed"}
    refused = await collector.collect(subscribed, renewal, uuid4())
    assert refused.json()["type"] == "/problems/invoice-closed"


async def test_only_billing_moves_money(
    client: httpx.AsyncClient, anna: Person, as_service: Callable[[str], dict[str, str]], subscribed: Any
) -> None:
    body = {"amount": PRICE, "reason": "x", "refund_order_id": str(uuid4())}
    path = f"/internal/v1/payments/{uuid4()}/refunds"
    key = {"Idempotency-Key": body["refund_order_id"]}
    for headers, status in ((as_service("scheduler"), 403), (anna.headers, 401), ({}, 401)):
        assert (await client.post(path, headers=headers | key, json=body)).status_code == status
    assert (await client.post(path, headers=as_service("billing-api"), json=body)).status_code == 400
