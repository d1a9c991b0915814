"""What a user has ended stays ended: in the middle of a charge's way, and when nobody could be told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.clock import ManualClock
from tests.user_api.commerce.conftest import CONSENT, Catalogue, Person, card
from tests.user_api.commerce.fakes import FakeBillingApi, FakePayApi
from tests.user_api.commerce.test_collect import (  # noqa: F401 - fixtures
    Collector,
    collector,
    consent_of,
    renewal,
    subscribed,
)
from user_api.resources import Resources
from user_api.user_service.finish_endings import finish_endings


async def test_a_charge_on_its_way_to_pay_api_is_caught_by_the_revocation(
    anna: Person,
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
) -> None:
    """The collection has seen the consent and committed; PayAPI hears of the payment after the revocation."""
    attempt = uuid4()
    pay.hold["start"] = asyncio.Event()
    pay.reached.clear()
    collecting = asyncio.create_task(collector.collect(subscribed, renewal, attempt))
    await pay.reached.wait()
    consent = await consent_of(anna)
    revoking = asyncio.create_task(anna.delete(f"/v1/me/recurring-payments/{consent['id']}"))
    while (await consent_of(anna))["status"] != "revoked":  # noqa: ASYNC110 - seen through the API alone
        await asyncio.sleep(0.01)
    assert not revoking.done()
    pay.hold.pop("start").set()
    assert (await collecting).status_code == 202
    assert (await revoking).status_code == 204
    assert pay.payments[attempt]["status"] == "cancelled"


async def test_a_charge_that_cannot_be_caught_is_said_so_and_closed_by_the_worker(
    anna: Person,
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("user_api.user_service.queued_charges.MOST_POLLS", 2)
    attempt = uuid4()
    pay.hold["start"] = asyncio.Event()
    pay.reached.clear()
    collecting = asyncio.create_task(collector.collect(subscribed, renewal, attempt))
    await pay.reached.wait()
    path = f"/v1/me/recurring-payments/{(await consent_of(anna))['id']}"
    answer = await anna.delete(path)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/charge-in-flight")
    pay.hold.pop("start").set()
    await collecting
    assert pay.payments[attempt]["status"] == "created"
    await finish_endings(resources.commerce)
    assert pay.payments[attempt]["status"] == "cancelled"
    assert (await anna.delete(path)).status_code == 204


async def test_a_collection_that_died_before_pay_api_holds_nobody_up_for_long(
    anna: Person,
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
    clock: ManualClock,
) -> None:
    attempt = uuid4()
    pay.crash("start", "before")
    assert (await collector.collect(subscribed, renewal, attempt)).status_code == 503
    clock.advance(timedelta(seconds=31))
    path = f"/v1/me/recurring-payments/{(await consent_of(anna))['id']}"
    assert (await anna.delete(path)).status_code == 204
    again = await collector.collect(subscribed, renewal, attempt)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/no-consent")
    assert attempt not in pay.payments


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_worker_closes_what_a_revocation_could_not(
    anna: Person,
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
    resources: Resources,
    when: Any,
) -> None:
    queued = uuid4()
    await collector.collect(subscribed, renewal, queued)
    pay.crash("cancel", when)
    path = f"/v1/me/recurring-payments/{(await consent_of(anna))['id']}"
    assert (await anna.delete(path)).status_code == 503
    await finish_endings(resources.commerce)
    assert pay.payments[queued]["status"] == "cancelled"


async def test_a_charge_that_wins_the_race_to_pay_api_is_never_refunded_by_a_revocation(
    anna: Person,
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
) -> None:
    """It is captured between the revocation's look and its cancel."""
    queued = uuid4()
    await collector.collect(subscribed, renewal, queued)
    view = pay.view

    def charged_right_after(payment_id: UUID) -> dict[str, Any]:
        seen = view(payment_id)
        if payment_id == queued and pay.payments[queued]["status"] == "created":
            pay.succeed(queued)
        return seen

    pay.view = charged_right_after  # type: ignore[method-assign]
    assert (
        await anna.delete(f"/v1/me/recurring-payments/{(await consent_of(anna))['id']}")
    ).status_code == 204
    assert pay.payments[queued]["status"] == "succeeded"
    assert pay.payments[queued]["refunded"]["amount"] == 0


async def test_a_permitted_charge_is_left_alone(
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
    resources: Resources,
) -> None:
    queued = uuid4()
    await collector.collect(subscribed, renewal, queued)
    await finish_endings(resources.commerce)
    assert pay.payments[queued]["status"] == "created"
    assert pay.count("cancel") == 0


async def test_ending_an_old_consent_or_card_leaves_the_charge_of_the_new_one(
    anna: Person,
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
    deliver: Any,
) -> None:
    old = await consent_of(anna)
    await anna.post("/v1/me/payment-methods", {"card_cryptogram": "another"})
    await deliver()
    newest = (await anna.get("/v1/me/payment-methods")).json()["items"][0]["id"]
    given = {"subscription_id": subscribed["id"], "payment_method_id": newest, "consent": CONSENT}
    assert (await anna.post("/v1/me/recurring-payments", given)).status_code == 201  # collects at once
    (queued,) = pay.of_invoice(UUID(renewal["id"]))
    assert (queued["status"], queued["payment_method_id"]) == ("created", newest)
    assert (await anna.delete(f"/v1/me/recurring-payments/{old['id']}")).status_code == 204
    assert (await anna.delete(f"/v1/me/payment-methods/{old['payment_method_id']}")).status_code == 204
    assert queued["status"] == "created"


async def test_an_ended_subscription_takes_its_queued_charge_along(
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
    billing: FakeBillingApi,
    deliver: Any,
    resources: Resources,
) -> None:
    queued = uuid4()
    await collector.collect(subscribed, renewal, queued)
    billing.tell(UUID(subscribed["id"]), "subscription.cancelled", None, status="cancelled")
    await deliver()
    await finish_endings(resources.commerce)
    assert pay.payments[queued]["status"] == "cancelled"


async def test_the_worker_has_a_detached_card_forgotten(
    anna: Person,
    subscribed: Any,  # noqa: F811
    pay: FakePayApi,
    resources: Resources,
    rows: Callable[..., Any],
) -> None:
    method_id = (await consent_of(anna))["payment_method_id"]
    pay.crash("detach", "before", times=2)
    assert (await anna.delete(f"/v1/me/payment-methods/{method_id}")).status_code == 503
    await finish_endings(resources.commerce)  # away still
    assert pay.methods[UUID(method_id)]["status"] == "active"
    await finish_endings(resources.commerce)
    assert pay.methods[UUID(method_id)]["status"] == "detached"
    asked = pay.count("detach")
    await finish_endings(resources.commerce)
    assert pay.count("detach") == asked
    assert (await rows("SELECT forgotten_at FROM payment_methods"))[0]["forgotten_at"] is not None


async def test_one_invoice_being_paid_does_not_keep_another_from_a_new_card(
    anna: Person,
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
    billing: FakeBillingApi,
    deliver: Any,
) -> None:
    await collector.collect(subscribed, renewal, uuid4())
    second = billing.open_invoice(UUID(subscribed["id"]), 49900, "renewal")
    await anna.post("/v1/me/payment-methods", {"card_cryptogram": "another"})
    await deliver()
    newest = (await anna.get("/v1/me/payment-methods")).json()["items"][0]["id"]
    path = f"/v1/me/recurring-payments/{(await consent_of(anna))['id']}"
    assert (await anna.patch(path, {"payment_method_id": newest})).status_code == 200
    (retried,) = pay.of_invoice(UUID(second["id"]))
    assert (retried["payment_method_id"], retried["initiator"]) == (newest, "merchant")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_cancellation_redriven_by_billing_is_the_one_the_user_began(
    anna: Person,
    collector: Collector,  # noqa: F811
    catalogue: Catalogue,
    pay: FakePayApi,
    when: Any,
) -> None:
    """Either may come second: PayAPI must see one request under one key, not two that differ in a word."""
    bought = (await anna.buy(await catalogue.product("feature:uhd"))).json()
    pay.crash("cancel", when)
    path, key = f"/v1/me/payments/{bought['payment']['id']}/cancel", str(uuid4())
    assert (await anna.post(path, {}, key)).status_code == 503
    _, sent = next(call for call in pay.calls if call[0] == "cancel")
    order = {
        "cancellation_id": sent["cancellation_id"],
        "amount": bought["payment"]["amount"],
        "reason": "cancelled by the user",
    }
    refunds = f"/payments/{bought['payment']['id']}/refunds"
    redriven = await collector.post(refunds, order, sent["cancellation_id"])
    assert redriven.status_code == 201, redriven.text
    again = await anna.post(path, {}, key)
    assert (again.status_code, again.json()["payment"]["status"]) == (200, "refunded")
    assert pay.payments[UUID(bought["payment"]["id"])]["refunded"]["amount"] == 49900


async def buy_film(anna: Person, catalogue: Catalogue, billing: FakeBillingApi, deliver: Any) -> Any:
    product = await catalogue.product(f"movie:{uuid4()}", kind="one_time")
    bought = (await anna.post("/v1/me/purchases", {"product_id": str(product), "payment": card()})).json()
    purchase = bought["purchase"]
    billing.subscriptions[UUID(purchase["id"])]["status"] = "active"
    billing.tell(UUID(purchase["id"]), "subscription.activated", None, status="active", grants_access=True)
    await deliver()
    return purchase


async def test_a_removed_product_can_be_bought_again(
    anna: Person, catalogue: Catalogue, billing: FakeBillingApi, pay: FakePayApi, deliver: Any
) -> None:
    purchase = await buy_film(anna, catalogue, billing, deliver)
    path = f"/v1/me/products/{purchase['id']}"
    assert (await anna.delete(path)).status_code == 204
    assert (await anna.delete(path)).status_code == 204
    assert billing.subscriptions[UUID(purchase["id"])]["status"] == "cancelled"
    assert [body for name, body in billing.calls if name == "cancel"] == [
        {"mode": "now", "refund_unused": None}
    ] * 2
    assert pay.count("cancel") == pay.count("refund") == 0  # no money goes back
    body = {"product_id": purchase["product_id"], "payment": card("once more")}
    assert (await anna.post("/v1/me/purchases", body)).status_code == 201


async def test_the_worker_ends_a_removed_purchase_when_billing_was_away(
    anna: Person,
    catalogue: Catalogue,
    billing: FakeBillingApi,
    deliver: Any,
    resources: Resources,
    rows: Callable[..., Any],
) -> None:
    purchase = await buy_film(anna, catalogue, billing, deliver)
    billing.crash("cancel", "before")
    assert (await anna.delete(f"/v1/me/products/{purchase['id']}")).status_code == 204
    assert await rows("SELECT 1 FROM access_rights") == []
    assert billing.subscriptions[UUID(purchase["id"])]["status"] == "active"
    await finish_endings(resources.commerce)
    assert billing.subscriptions[UUID(purchase["id"])]["status"] == "cancelled"
    billing.tell(UUID(purchase["id"]), "subscription.cancelled", None, status="cancelled")
    await deliver()
    asked = billing.count("cancel")
    await finish_endings(resources.commerce)
    assert billing.count("cancel") == asked


async def test_a_pending_consent_of_a_purchase_never_begun_ends_with_its_subscription(
    anna: Person, catalogue: Catalogue, billing: FakeBillingApi, pay: FakePayApi, deliver: Any
) -> None:
    pay.crash("start", "before")
    product = await catalogue.product("feature:uhd")
    assert (await anna.buy(product, payment=card(save=True), consent=CONSENT)).status_code == 503
    assert (await consent_of(anna))["status"] == "pending"
    (subscription_id,) = billing.subscriptions
    billing.tell(subscription_id, "subscription.expired", None, status="expired")
    await deliver()
    assert (await consent_of(anna))["status"] == "revoked"
