"""Automatic charges through the real services: with a consent that holds, or not at all."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from deploy.local.stack import LocalStack
from tests.e2e.books import balance_the_books, days_pass
from tests.e2e.shopper import CONSENT, OK, OK_ONCE, OK_OTHER, Shopper
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(600)]
PAIRS = 6 * int(os.environ.get("TEST_ROUNDS", "1"))
MONTH = 31


async def consents(shopper: Shopper) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await shopper.get("/v1/me/recurring-payments"))["items"]
    return found


async def with_consent(stack: Stack, number: str = OK) -> Shopper:
    """Subscribed, with a consent that is active."""
    shopper = await Shopper.join(stack)
    await shopper.subscribe(number=number, consent=CONSENT)
    await shopper.until("/v1/me/recurring-payments", lambda found: found["items"][0]["status"] == "active")
    return shopper


async def another_card(shopper: Shopper, number: str = OK_OTHER) -> str:
    """Saves a card without a purchase and gives its id."""
    known = {one["id"] for one in (await shopper.get("/v1/me/payment-methods"))["items"]}
    await shopper.post("/v1/me/payment-methods", {"card_cryptogram": await shopper.packet(number)}, 201)
    methods = await shopper.until(
        "/v1/me/payment-methods", lambda found: any(one["id"] not in known for one in found["items"])
    )
    return next(str(one["id"]) for one in methods["items"] if one["id"] not in known)


async def test_only_a_consent_that_holds_is_charged_and_a_new_card_at_once(
    running_stack: LocalStack, stack: Stack
) -> None:
    kept, revoked, detached = await asyncio.gather(*(with_consent(stack) for _ in range(3)))
    poor = await with_consent(stack, OK_ONCE)
    given = (await consents(kept))[0]
    assert (given["text_version"], given["status"]) == (CONSENT["text_version"], "active")
    assert given["accepted_at"]
    (ended,) = await consents(revoked)
    assert (await revoked.ask("DELETE", f"/v1/me/recurring-payments/{ended['id']}")).status_code == 204
    (method,) = (await detached.get("/v1/me/payment-methods"))["items"]
    assert (await detached.ask("DELETE", f"/v1/me/payment-methods/{method['id']}")).status_code == 204
    assert (await consents(detached))[0]["status"] == "revoked"

    await days_pass(running_stack, MONTH)
    for shopper in (kept, revoked, detached, poor):
        await shopper.log_in()
    assert await kept.effects() == {"charged": 2}
    for shopper in (revoked, detached, poor):
        assert await shopper.effects() == {"charged": 1}
        assert len(await shopper.open_invoices()) == 1
    declined = next(one for one in await poor.payments() if one["status"] == "failed")
    assert declined["decline"]["class"] == "soft"
    assert declined["decline"]["message"]

    # A new consent collects the open invoice at once.
    (method,) = (await revoked.get("/v1/me/payment-methods"))["items"]
    body = {
        "subscription_id": ended["subscription_id"],
        "payment_method_id": method["id"],
        "consent": CONSENT,
    }
    assert (await revoked.post("/v1/me/recurring-payments", body, 201))["status"] == "active"
    # Another card for the consent does, too.
    (weak,) = await consents(poor)
    changed = await poor.ask(
        "PATCH", f"/v1/me/recurring-payments/{weak['id']}", {"payment_method_id": await another_card(poor)}
    )
    assert changed.status_code == 200, changed.text
    # Without a consent the invoice is the user's own to pay.
    (invoice,) = await detached.open_invoices()
    pay = {"payment": await detached.card(OK_OTHER)}
    assert (await detached.post(f"/v1/me/invoices/{invoice['id']}/pay", pay, 201))["payment"]["status"] == (
        "succeeded"
    )
    await balance_the_books(running_stack, [kept, revoked, detached, poor])
    for shopper in (kept, revoked, detached, poor):
        assert await shopper.effects() == {"charged": 2}
        assert await shopper.open_invoices() == []


async def test_r9_no_charge_begins_after_a_consent_or_a_card_is_gone(
    running_stack: LocalStack, stack: Stack
) -> None:
    """Half of them revoke, half detach, while the renewals are being collected."""
    shoppers = list(await asyncio.gather(*(with_consent(stack) for _ in range(PAIRS))))
    given = [(await consents(shopper))[0] for shopper in shoppers]
    travelling = asyncio.create_task(days_pass(running_stack, MONTH))
    await asyncio.sleep(1)
    for shopper in shoppers:
        await shopper.log_in()
    ended: dict[str, int] = {}

    async def end(number: int, shopper: Shopper, consent: dict[str, Any]) -> None:
        """Some time within the run; what the provider has done by the answer is all it will ever do."""
        await asyncio.sleep(number * 1.5)
        path = (
            f"/v1/me/recurring-payments/{consent['id']}"
            if number % 2
            else f"/v1/me/payment-methods/{consent['payment_method_id']}"
        )
        while (answer := await shopper.ask("DELETE", path)).status_code != 204:
            assert answer.status_code in (409, 503), answer.text
            await asyncio.sleep(0.2)
        # What had been begun by then may still be finishing.
        listed = await stack.operator_get("pay-api", "/v1/payments", user_id=shopper.id, limit="100")
        begun = [one for one in listed["items"] if one["status"] not in ("created", "cancelled", "failed")]
        ended[shopper.id] = len(begun)

    await asyncio.gather(*(end(number, shopper, given[number]) for number, shopper in enumerate(shoppers)))
    await travelling
    await balance_the_books(running_stack, shoppers)
    for shopper in shoppers:
        effects = await shopper.effects()
        assert effects["charged"] <= ended[shopper.id], (shopper.id, effects, ended[shopper.id])
        assert effects["refunded"] == 0
