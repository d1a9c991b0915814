"""What a customer does after buying, through the real services: other products, pauses, films, money back."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import uuid4

import pytest

from deploy.local.stack import LocalStack
from tests.e2e.books import balance_the_books, days_pass
from tests.e2e.shopper import CONSENT, OK, OK_OTHER, POOR, THREEDS, Shopper
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(600)]


async def change_body(shopper: Shopper, slug: str) -> dict[str, Any]:
    order = await shopper.order(slug)
    return {"product_id": order["product_id"], "price_id": order["price_id"]}


async def grants_of(shopper: Shopper, slug: str) -> set[str]:
    return set(next(one for one in await shopper.products() if one["slug"] == slug)["grants"])


async def test_a_purchase_in_the_hosted_checkout_and_a_film_with_the_card_saved_there(
    running_stack: LocalStack, stack: Stack
) -> None:
    shopper = await Shopper.join(stack)
    order = await shopper.order() | {"payment": {"kind": "hosted", "save_method": True}, "consent": CONSENT}
    bought = await shopper.post("/v1/me/subscriptions", order, 201)
    action = bought["payment"]["next_action"]
    assert (bought["payment"]["status"], action["step"]) == ("action_required", "checkout")
    declined = await shopper.checkout(action["url"], POOR, save=True)
    assert (declined["status"], declined["decline"]["class"]) == ("action_required", "soft")
    paid = await shopper.checkout(action["url"], OK, save=True)
    assert paid["status"] == "succeeded", paid
    (resource,) = list(await grants_of(shopper, "premium"))[:1]
    await shopper.may(resource)
    consents = await shopper.until(
        "/v1/me/recurring-payments", lambda found: found["items"][0]["status"] == "active"
    )
    (consent,) = consents["items"]
    assert consent["text_version"] == CONSENT["text_version"]
    (method,) = (await shopper.get("/v1/me/payment-methods"))["items"]
    assert consent["payment_method_id"] == method["id"]
    film = next(one for one in await shopper.products() if one["kind"] == "one_time")
    saved = {"kind": "saved_method", "payment_method_id": method["id"]}
    body = {"product_id": film["id"], "payment": saved}
    purchase = (await shopper.post("/v1/me/purchases", body, 201))["purchase"]
    rights = await shopper.until(
        "/v1/me/access-rights",
        lambda found: any(one["source"].endswith(purchase["id"]) for one in found["items"]),
    )
    assert {one["until"] for one in rights["items"] if one["source"].endswith(purchase["id"])} == {None}
    await balance_the_books(running_stack, [shopper])
    assert await shopper.effects() == {"charged": 2}


async def test_a_removed_film_is_gone_without_a_refund_and_can_be_bought_again(
    running_stack: LocalStack, stack: Stack
) -> None:
    shopper = await Shopper.join(stack)
    film = next(one for one in await shopper.products() if one["kind"] == "one_time")
    body = {"product_id": film["id"], "payment": await shopper.card()}
    purchase = (await shopper.post("/v1/me/purchases", body, 201))["purchase"]
    await shopper.may(film["grants"][0])
    twice = await shopper.ask("POST", "/v1/me/purchases", body | {"payment": await shopper.card()})
    assert twice.json()["type"] == "/problems/subscription-exists"
    assert (await shopper.ask("DELETE", f"/v1/me/products/{purchase['id']}")).status_code == 204
    await shopper.may(film["grants"][0], granted=False)
    assert (await shopper.get("/v1/me/products"))["items"] == []
    again = body | {"payment": await shopper.card()}
    second = (await shopper.post("/v1/me/purchases", again, 201))["purchase"]
    assert second["id"] != purchase["id"]
    await shopper.may(film["grants"][0])
    held = (await shopper.subscribe("basic"))["subscription"]["id"]
    await shopper.until("/v1/me/products", lambda found: len(found["items"]) == 2)
    refused = await shopper.ask("DELETE", f"/v1/me/products/{held}")
    assert refused.json()["type"] == "/problems/subscription-must-be-cancelled"
    await balance_the_books(running_stack, [shopper])
    assert await shopper.effects() == {"charged": 3}


async def test_a_change_is_declined_then_paid_for_what_was_previewed(
    running_stack: LocalStack, stack: Stack
) -> None:
    shopper = await Shopper.join(stack)
    bought = await shopper.subscribe("basic")
    path = f"/v1/me/subscriptions/{bought['subscription']['id']}/change-product"
    target = await change_body(shopper, "family")
    gained = min(await grants_of(shopper, "family") - await grants_of(shopper, "basic"))
    due = (await shopper.post(path, target | {"preview": True}))["quote"]["amount_due"]
    body = target | {"expected_amount": due}
    declined = await shopper.post(path, body | {"payment": await shopper.card(POOR)})
    assert declined["payment"]["status"] == "failed"
    await shopper.may(gained, granted=False)
    paid = await shopper.post(path, body | {"payment": await shopper.card(OK_OTHER)})
    assert paid["invoice"]["id"] == declined["invoice"]["id"]
    assert (paid["payment"]["status"], paid["payment"]["amount"]) == ("succeeded", due)
    await shopper.may(gained)
    first = bought["payment"]["amount"]["amount"]
    assert await shopper.net() == first + due["amount"]
    await balance_the_books(running_stack, [shopper])


async def test_a_change_left_unpaid_lapses_and_another_closes_one_that_waits(
    running_stack: LocalStack, stack: Stack
) -> None:
    shopper = await Shopper.join(stack)
    bought = await shopper.subscribe("basic")
    held = f"/v1/me/subscriptions/{bought['subscription']['id']}"
    premium, family = await change_body(shopper, "premium"), await change_body(shopper, "family")
    waits = await shopper.post(f"{held}/change-product", premium | {"payment": await shopper.card(THREEDS)})
    assert waits["payment"]["status"] == "action_required"
    other = await shopper.post(f"{held}/change-product", family | {"payment": await shopper.card(THREEDS)})
    closed = await shopper.until(
        f"/v1/me/payments/{waits['payment']['id']}", lambda found: found["status"] == "cancelled"
    )
    assert closed["next_action"] is None
    assert (await shopper.invoice(waits["invoice"]["id"]))["status"] == "void"
    await days_pass(running_stack, 2)  # nobody confirmed: it lapses at the end of its day
    await shopper.log_in()
    after = await shopper.get(held)
    assert (after["product_id"], after["pending_change"]) == (bought["subscription"]["product_id"], None)
    assert (await shopper.invoice(other["invoice"]["id"]))["status"] == "void"
    over = await shopper.get(f"/v1/me/payments/{other['payment']['id']}")
    assert over["status"] in ("cancelled", "failed")  # closed, or its 3-D Secure had run out before
    assert await shopper.effects() == {"charged": 1}
    await balance_the_books(running_stack, [shopper])


async def test_a_pause_keeps_the_days_and_issues_nothing(running_stack: LocalStack, stack: Stack) -> None:
    shopper = await Shopper.join(stack)
    bought = await shopper.subscribe("basic", consent=CONSENT)
    held = f"/v1/me/subscriptions/{bought['subscription']['id']}"
    resource = min(await grants_of(shopper, "basic"))
    await shopper.may(resource)
    await days_pass(running_stack, 10)
    await shopper.log_in()
    assert (await shopper.post(f"{held}/pause", {}))["subscription"]["status"] == "paused"
    began = time.monotonic()
    await shopper.may(resource, granted=False)
    assert time.monotonic() - began < 2  # revoked by an event, polled every 0.1 s on a machine under test
    await days_pass(running_stack, 40)
    await shopper.log_in()
    assert await shopper.open_invoices() == []
    resumed = (await shopper.post(f"{held}/resume", {}))["subscription"]
    assert resumed["status"] == "active"
    await shopper.may(resource)
    assert await shopper.effects() == {"charged": 1}
    await days_pass(running_stack, 25)  # more than the 20 days that were left
    await shopper.log_in()
    assert await shopper.effects() == {"charged": 2}
    await balance_the_books(running_stack, [shopper])


async def test_a_cancellation_whose_user_api_died_is_carried_out_by_the_sweeper(
    running_stack: LocalStack, stack: Stack
) -> None:
    """BillingAPI has decided; whoever asked it never told PayAPI."""
    shopper = await Shopper.join(stack)
    bought = await shopper.subscribe()
    payment = await stack.operator_get("user-api", f"/internal/v1/payments/{bought['payment']['id']}")
    asked = {name: payment[name] for name in ("user_id", "invoice_id", "status", "captured", "refunded")}
    decided = await shopper.http.post(
        f"{stack.urls['billing_api']}/internal/v1/payments/{payment['id']}/cancellations",
        json=asked,
        headers={
            "Authorization": f"Bearer {stack.operator_tokens['billing-api']}",
            "Idempotency-Key": str(uuid4()),
        },
    )
    assert (decided.status_code, decided.json()["action"]) == (201, "refund"), decided.text
    assert await shopper.effects() == {"charged": 1}
    await days_pass(running_stack, 0.1)
    await shopper.log_in()
    await shopper.until("/v1/me/payments", lambda found: found["items"][0]["status"] == "refunded", 60)
    await balance_the_books(running_stack, [shopper])
    assert await shopper.effects() == {"charged": 1, "refunded": 1}


async def test_what_may_be_cancelled_and_by_when(running_stack: LocalStack, stack: Stack) -> None:
    soon, late, waiting = await asyncio.gather(*(Shopper.join(stack) for _ in range(3)))
    resource = min(await grants_of(soon, "premium"))
    bought, kept = await soon.subscribe(consent=CONSENT), await late.subscribe(consent=CONSENT)
    began = await waiting.post("/v1/me/subscriptions", await waiting.order("premium", THREEDS), 201)
    path = f"/v1/me/payments/{bought['payment']['id']}/cancel"
    await soon.may(resource)

    # Under way: closed, and the invoice may be paid another way.
    closed = await waiting.post(f"/v1/me/payments/{began['payment']['id']}/cancel", {})
    assert closed["payment"]["status"] == "cancelled"
    pay = {"payment": await waiting.card()}
    paid = await waiting.post(f"/v1/me/invoices/{began['invoice']['id']}/pay", pay, 201)
    assert paid["payment"]["status"] == "succeeded"

    await days_pass(running_stack, 13)
    await soon.log_in()
    cancelled = await soon.post(path, {})
    assert cancelled["payment"]["refunded"] == bought["payment"]["amount"]
    await soon.may(resource, granted=False)
    again = await soon.ask("POST", path, {})
    assert (again.json()["type"], again.json()["rule"]) == (
        "/problems/payment-not-cancellable",
        "payment-is-over",
    )
    (listed,) = await soon.payments()
    assert (listed["status"], listed["refunded"]) == ("refunded", bought["payment"]["amount"])

    await days_pass(running_stack, 2)
    await late.log_in()
    over = await late.ask("POST", f"/v1/me/payments/{kept['payment']['id']}/cancel", {})
    assert (over.status_code, over.json()["rule"]) == (409, "window-over")
    await days_pass(running_stack, 20)
    await late.log_in()
    renewed = next(one for one in await late.payments() if one["id"] != kept["payment"]["id"])
    newest = await late.post(f"/v1/me/payments/{renewed['id']}/cancel", {})
    assert newest["payment"]["status"] == "refunded"
    assert await soon.effects() == {"charged": 1, "refunded": 1}
    assert await late.effects() == {"charged": 2, "refunded": 1}
    await balance_the_books(running_stack, [soon, late, waiting])
