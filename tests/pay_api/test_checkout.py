"""The hosted checkout: the page, cards tried one after another, two tabs, 3-D Secure, expiry."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from pay_api.pay_service.context import Context
from pay_api.pay_service.expire_payments import expire_payments
from pay_api.pay_service.pay_checkout import MAX_ATTEMPTS
from pay_api.pay_service.reconcile import reconcile
from shared.ids import new_id
from tests.pay_api.conftest import OK, OK_3DS, POOR, Pay, event_types, history
from tests.pay_api.test_threeds import bank_answers, local


async def opened(pay: Pay, save_method: bool = False, **changes: Any) -> dict[str, Any]:
    """A hosted payment, waiting for its card."""
    method = {"kind": "hosted", "save_method": save_method}
    answer = await pay.start(pay.body(**{"method": method, **changes}))
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert view["status"] == "action_required"
    assert view["next_action"]["step"] == "checkout"
    assert f"/pay-api/checkout/{view['id']}?token=" in view["next_action"]["url"]
    return view


async def enter(pay: Pay, view: dict[str, Any], pan: str = OK, **changes: Any) -> httpx.Response:
    """The page's script sends a card."""
    path, _, query = local(pay, view["next_action"]["url"]).partition("?")
    body = {"card_cryptogram": pay.cryptogram(pan), "save_method": False, **changes}
    return await pay.http.post(f"{path}/attempts?{query}", json=body)


async def test_a_declined_card_leaves_the_payment_open_for_the_next(pay: Pay, db: asyncpg.Pool) -> None:
    view = await opened(pay)
    declined = await enter(pay, view, POOR)
    assert declined.status_code == 201
    shown = declined.json()
    assert shown["status"] == "action_required"
    assert shown["decline"]["code"] == "insufficient-funds"
    assert shown["next_action"]["step"] == "checkout"
    assert "user_id" not in shown
    paid = (await enter(pay, view)).json()
    assert paid["status"] == "succeeded"
    assert paid["decline"] is None
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]
    assert await event_types(db, view["id"]) == [
        "payment.created",
        "payment.action_required",
        "payment.action_required",
        "payment.succeeded",
    ]
    attempts = await db.fetch(
        "SELECT status FROM payment_attempt WHERE payment_id = $1 ORDER BY created_at, id", UUID(view["id"])
    )
    assert [row["status"] for row in attempts] == ["declined", "succeeded"]
    late = await enter(pay, view)
    assert late.status_code == 409
    assert late.json()["type"] == "/problems/checkout-closed"


async def test_two_tabs_never_pay_twice(pay: Pay) -> None:
    view = await opened(pay)
    answers = await asyncio.gather(*(enter(pay, view) for _ in range(8)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] + [409] * 7
    problems = {answer.json()["type"] for answer in answers if answer.status_code == 409}
    assert problems <= {"/problems/payment-in-progress", "/problems/checkout-closed"}
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]


async def test_an_open_checkout_holds_the_invoice(pay: Pay) -> None:
    view = await opened(pay)
    rival = await pay.start(pay.body(invoice_id=view["invoice_id"], user_id=view["user_id"]))
    assert rival.status_code == 409
    assert rival.json()["payment_id"] == view["id"]
    closing = await pay.post(f"/v1/invoices/{view['invoice_id']}/close")
    assert closing.json()["result"] == "closed"
    late = await enter(pay, view)
    assert late.json()["type"] == "/problems/checkout-closed"
    assert await pay.effects(view["user_id"]) == []


async def test_threeds_declined_comes_back_to_the_page_and_passed_pays(pay: Pay) -> None:
    view = await opened(pay)
    challenge = (await enter(pay, view, OK_3DS)).json()
    assert challenge["next_action"]["step"] == "3ds"
    assert (await enter(pay, view)).json()["type"] == "/problems/payment-in-progress"
    page = await pay.http.get(local(pay, challenge["next_action"]["url"]))
    term_url, fields = await bank_answers(pay, page.text, button=1)
    back = await pay.http.post(local(pay, term_url), data=fields)
    assert back.status_code == 303
    assert "/checkout/" in back.headers["location"]
    assert (await pay.show(view["id"]))["decline"]["class"] == "authentication"
    # Sent twice by the browser, it comes to the same; with another MD it leads to no page of the payment.
    assert (await pay.http.post(local(pay, term_url), data=fields)).status_code == 303
    assert (await pay.http.post(local(pay, term_url), data=fields | {"MD": "1"})).status_code == 401
    challenge = (await enter(pay, view, OK_3DS)).json()
    page = await pay.http.get(local(pay, challenge["next_action"]["url"]))
    term_url, fields = await bank_answers(pay, page.text)
    done = await pay.http.post(local(pay, term_url), data=fields)
    assert "Оплата прошла" in done.text
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]


async def test_an_abandoned_challenge_lets_another_card_be_tried(pay: Pay, ctx: Context) -> None:
    view = await opened(pay)
    await enter(pay, view, OK_3DS)
    pay.clock.advance(timedelta(minutes=41))
    await reconcile(ctx)
    shown = await pay.show(view["id"])
    assert shown["status"] == "action_required"
    assert shown["next_action"]["step"] == "checkout"
    assert (await enter(pay, shown)).json()["status"] == "succeeded"


async def test_an_unanswered_card_is_asked_about_and_nothing_else_is_taken(pay: Pay, ctx: Context) -> None:
    view = await opened(pay)
    await pay.fault(kind="suppressed", webhook="pay")
    await pay.fault(kind="http_500_after", method="payments/cards/charge")
    assert (await enter(pay, view)).json()["status"] == "unknown"
    assert (await enter(pay, view)).json()["type"] == "/problems/payment-in-progress"
    pay.clock.advance(timedelta(seconds=30))
    await reconcile(ctx)
    assert (await pay.show(view["id"]))["status"] == "succeeded"
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]


async def test_it_ends_after_23_hours_and_frees_the_invoice(pay: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    view = await opened(pay)
    pay.clock.advance(timedelta(hours=22, minutes=59))
    await expire_payments(ctx)
    assert (await pay.show(view["id"]))["status"] == "action_required"
    pay.clock.advance(timedelta(minutes=2))
    await expire_payments(ctx)
    assert (await pay.show(view["id"]))["status"] == "cancelled"
    assert (await history(db, view["id"]))[-1] == ("cancelled", "expiry")
    again = await pay.start(pay.body(invoice_id=view["invoice_id"], user_id=view["user_id"]))
    assert again.json()["status"] == "succeeded"


async def test_cards_cannot_be_tested_in_it(pay: Pay) -> None:
    view = await opened(pay)
    for _ in range(MAX_ATTEMPTS):
        assert (await enter(pay, view, POOR)).status_code == 201
    refused = await enter(pay, view)
    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/too-many-attempts"
    assert await pay.effects(view["user_id"]) == []


async def test_cards_are_saved_when_asked_then_or_before(pay: Pay) -> None:
    asked_there = await opened(pay)
    assert (await enter(pay, asked_there, POOR, save_method=True)).json()["payment_method_id"] is None
    assert (await enter(pay, asked_there)).json()["payment_method_id"] is None
    asked_there = await opened(pay)
    assert (await enter(pay, asked_there, save_method=True)).json()["payment_method_id"]
    asked_before = await opened(pay, save_method=True)
    assert (await enter(pay, asked_before)).json()["payment_method_id"]


async def test_page_is_ours_alone_and_holds_no_secret(pay: Pay) -> None:
    view = await opened(pay, payer={"locale": "en"}, description="<b>& film")
    page = await pay.http.get(local(pay, view["next_action"]["url"]))
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "form-action 'none'" in policy
    assert "unsafe" not in policy
    nonce = re.search(r"script-src 'nonce-([^']+)'", policy)[1]
    assert f'<script nonce="{nonce}" src="card.js?v=' in page.text
    assert "://" not in re.sub(r'<script type="application/json".*?</script>', "", page.text, flags=re.S)
    assert "<b>" not in page.text
    assert "Pay by card" in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert " name=" not in re.search(r"<form.*?</form>", page.text, re.S)[0]
    config = json.loads(re.search(r'id="config">(.*?)</script>', page.text, re.S)[1])
    assert config["key"]["terminal"] == pay.house.settings.cloudpayments_public_id
    assert len(config["key"]["modulus"]) == 512
    assert "user_id" not in config["payment"]
    script = await pay.http.get(f"{pay.house.pay_url}/checkout/card.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]


async def test_links_and_strangers(pay: Pay) -> None:
    view = await opened(pay)
    plain = f"{pay.house.pay_url}/checkout/{view['id']}"
    assert (await pay.http.get(plain)).status_code == 401
    assert (await pay.http.get(f"{plain}?token=9999999999.x")).status_code == 401
    other = await opened(pay)
    query = other["next_action"]["url"].partition("?")[2]
    body = {"card_cryptogram": pay.cryptogram(), "save_method": False}
    assert (await pay.http.post(f"{plain}/attempts?{query}", json=body)).status_code == 401
    events = view["events_url"].partition("?")[2]
    assert (await pay.http.post(f"{plain}/attempts?{events}", json=body)).status_code == 401
    missing = f"{pay.house.pay_url}/checkout/{new_id()}?{query}"
    assert (await pay.http.get(missing)).status_code == 401
    assert await pay.effects(view["user_id"]) == []


async def test_bad_cards_are_refused_and_nothing_is_written(pay: Pay, db: asyncpg.Pool) -> None:
    view = await opened(pay)
    for changes in (
        {"card_cryptogram": "4111111111111111"},
        {"card_cryptogram": ""},
        {"card_cryptogram": None},
        {"unexpected": 1},
        {"cardholder_name": "x" * 101},
    ):
        answer = await enter(pay, view, **changes)
        assert answer.status_code == 422, changes
        assert answer.headers["content-type"] == "application/problem+json"
    count = await db.fetchval("SELECT count(*) FROM payment_attempt WHERE payment_id = $1", UUID(view["id"]))
    assert count == 0
    assert (await pay.show(view["id"]))["status"] == "action_required"


async def test_merchant_cannot_send_itself_to_the_checkout(pay: Pay) -> None:
    body = pay.body(method={"kind": "hosted", "save_method": False}, initiator="merchant")
    answer = await pay.start(body)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/initiator-needs-saved-method"
