"""Bank transfers: instructions, the confirmation of staff, parts, late money, refusals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from pay_api.pay_service.context import Context
from pay_api.pay_service.expire_payments import expire_payments
from pay_api.pay_service.reconcile import reconcile
from pay_api.providers.bank_transfer import BankTransfer, transfer_code
from pay_api.settings import DEMO_ACCOUNT
from shared.ids import new_id
from shared.settings import AppEnv
from tests.pay_api.conftest import Pay, event_types, history
from tests.pay_api.test_threeds import local


async def asked(pay: Pay, **changes: Any) -> dict[str, Any]:
    body = pay.body(method={"kind": "bank_transfer"}, provider="bank_transfer", **changes)
    answer = await pay.start(body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def confirm(pay: Pay, payment_id: str, kopecks: int, /, **changes: Any) -> httpx.Response:
    body = {
        "confirmation_id": str(new_id()),
        "amount": {"amount": kopecks, "currency": "RUB"},
        "reason": "statement of 12 May, line 4",
        "actor": "accountant@cinema.example",
        **changes,
    }
    path = f"/internal/v1/payments/{payment_id}/transfer-confirmations"
    return await pay.post(path, body, body["confirmation_id"])


async def test_payer_is_told_and_staff_confirm(pay: Pay, db: asyncpg.Pool) -> None:
    view = await asked(pay)
    assert view["status"] == "action_required"
    action = view["next_action"]
    assert action["kind"] == "instructions"
    assert action["instructions"]["account"] == "40702810900000000001"
    assert action["instructions"]["code"] == transfer_code(UUID(view["id"])) == view["id"][-8:].upper()
    assert action["instructions"]["code"] in action["instructions"]["purpose"]
    confirmed = await confirm(pay, view["id"], 49_900)
    assert confirmed.status_code == 201, confirmed.text
    paid = confirmed.json()
    assert (paid["status"], paid["settles_invoice"]) == ("succeeded", True)
    assert paid["captured"]["amount"] == 49_900
    assert (await history(db, view["id"]))[-1] == ("succeeded", "staff:accountant@cinema.example")
    assert (await event_types(db, view["id"]))[-1] == "payment.succeeded"
    row = await db.fetchrow("SELECT * FROM payment_transfer WHERE payment_id = $1", UUID(view["id"]))
    assert row["reason"] == "statement of 12 May, line 4"


async def test_a_part_leaves_the_invoice_free_for_the_rest(pay: Pay) -> None:
    view = await asked(pay)
    part = (await confirm(pay, view["id"], 20_000)).json()
    assert (part["status"], part["settles_invoice"]) == ("succeeded", False)
    assert part["captured"]["amount"] == 20_000
    rest = pay.body(amount=29_900, invoice_id=view["invoice_id"], user_id=view["user_id"])
    assert (await pay.start(rest)).json()["status"] == "succeeded"


async def test_confirmed_once_whatever_is_sent(pay: Pay) -> None:
    view = await asked(pay)
    confirmation_id = str(new_id())
    first = await confirm(pay, view["id"], 49_900, confirmation_id=confirmation_id)
    assert first.status_code == 201
    again = await confirm(pay, view["id"], 49_900, confirmation_id=confirmation_id)
    assert again.json()["captured"]["amount"] == 49_900
    other = await confirm(pay, view["id"], 49_900)
    assert other.status_code == 409
    assert other.json()["type"] == "/problems/transfer-not-awaited"


async def test_money_after_the_wait_is_late(pay: Pay, ctx: Context) -> None:
    view = await asked(pay)
    pay.clock.advance(timedelta(days=14, minutes=1))
    await expire_payments(ctx)
    assert (await pay.show(view["id"]))["status"] == "cancelled"
    late = (await confirm(pay, view["id"], 49_900)).json()
    assert (late["status"], late["late"]) == ("succeeded", True)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"amount": {"amount": 49_901, "currency": "RUB"}}, "amount-too-large"),
        ({"amount": {"amount": 100, "currency": "USD"}}, "currency-differs"),
        ({"amount": {"amount": 0, "currency": "RUB"}}, "invalid-request"),
        ({"reason": ""}, "invalid-request"),
        ({"actor": "\n"}, "invalid-request"),
    ],
)
async def test_refused(pay: Pay, changes: dict[str, Any], problem: str) -> None:
    view = await asked(pay)
    answer = await confirm(pay, view["id"], 49_900, **changes)
    assert answer.status_code == 422
    assert answer.json()["type"] == f"/problems/{problem}"
    assert (await pay.show(view["id"]))["status"] == "action_required"


async def test_a_card_payment_is_not_confirmed_by_hand(pay: Pay) -> None:
    view = await pay.pay()
    assert (await confirm(pay, view["id"], 1)).status_code == 404


async def test_providers_take_only_their_own_methods(pay: Pay) -> None:
    for changes, problem in (
        ({"provider": "bank_transfer"}, "method-not-offered"),
        ({"method": {"kind": "bank_transfer"}}, "method-not-offered"),
        ({"provider": "nobody"}, "provider-not-offered"),
    ):
        answer = await pay.start(pay.body(**changes))
        assert answer.status_code == 422
        assert answer.json()["type"] == f"/problems/{problem}"


async def _refund(pay: Pay, payment_id: str, kopecks: int) -> dict[str, Any]:
    order = str(new_id())
    body = {
        "refund_order_id": order,
        "amount": {"amount": kopecks, "currency": "RUB"},
        "reason": "asked",
    }
    answer = await pay.post(f"/v1/payments/{payment_id}/refunds", body, order)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def _sent(pay: Pay, payment_id: str, refund_id: str) -> httpx.Response:
    body = {"refund_id": refund_id, "reason": "payment order 118", "actor": "accountant@cinema.example"}
    return await pay.post(f"/internal/v1/payments/{payment_id}/refund-confirmations", body)


async def test_a_refund_waits_for_the_person_who_sends_it(pay: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    """No machine moves this money: asked for, it waits, whatever the ladder does; confirmed, it counts."""
    view = await asked(pay)
    await confirm(pay, view["id"], 49_900)
    asked_for = await _refund(pay, view["id"], 10_000)
    (refund,) = asked_for["refunds"]
    assert (asked_for["status"], refund["status"]) == ("succeeded", "processing")
    for _ in range(3):
        pay.clock.advance(timedelta(hours=9))
        await reconcile(ctx)
    assert (await pay.show(view["id"]))["refunds"][0]["status"] == "processing"
    assert "payment.refunded" not in await event_types(db, view["id"])
    sent = await _sent(pay, view["id"], refund["id"])
    assert sent.status_code == 201, sent.text
    assert (sent.json()["status"], sent.json()["refunded"]["amount"]) == ("partially_refunded", 10_000)
    assert (await _sent(pay, view["id"], refund["id"])).json()["refunded"]["amount"] == 10_000
    assert (await event_types(db, view["id"])).count("payment.refunded") == 1
    assert (await history(db, view["id"]))[-1] == ("partially_refunded", "staff:accountant@cinema.example")
    reason = await db.fetchval(
        "SELECT reason FROM payment_transition WHERE payment_id = $1 ORDER BY id DESC", UUID(view["id"])
    )
    assert reason.endswith("asked; sent: payment order 118")


async def test_only_a_refund_by_hand_is_confirmed_by_hand(pay: Pay) -> None:
    paid = await pay.pay()
    refunded = await _refund(pay, paid["id"], 49_900)
    by_machine = await _sent(pay, paid["id"], refunded["refunds"][0]["id"])
    assert (by_machine.status_code, by_machine.json()["type"]) == (409, "/problems/refund-not-awaited")
    assert (await _sent(pay, paid["id"], str(new_id()))).json()["type"] == "/problems/refund-not-found"
    assert (await _sent(pay, str(new_id()), str(new_id()))).json()["type"] == "/problems/payment-not-found"
    other = await asked(pay)
    await confirm(pay, other["id"], 49_900)
    await pay.fault(kind="timeout_before", method="payments/refund", manner="close")
    view = await pay.pay()
    unclear = await _refund(pay, view["id"], 49_900)
    assert unclear["refunds"][0]["status"] == "unknown"
    assert (await _sent(pay, view["id"], unclear["refunds"][0]["id"])).status_code == 409


def test_where_transfers_go(pay: Pay) -> None:
    """Nowhere in production unless somebody said where; never to the demonstration's account there."""
    bare = pay.house.settings.model_copy(update={"bank_transfer_account": None})
    assert bare.transfer_account == DEMO_ACCOUNT
    assert BankTransfer.from_settings(bare) is not None
    live = bare.model_copy(update={"app_env": AppEnv.PRODUCTION})
    assert BankTransfer.from_settings(live) is None
    assert BankTransfer.from_settings(bare.model_copy(update={"bank_transfer_account": ""})) is None


async def test_the_page_shows_the_details_and_then_the_end(pay: Pay) -> None:
    view = await asked(pay, payer={"locale": "en", "email": "viewer@example.com"})
    url = local(pay, view["next_action"]["url"])
    page = await pay.http.get(url)
    assert page.status_code == 200
    for text in ("40702810900000000001", "044525000", view["id"][-8:].upper(), "RUB 499.00"):
        assert text in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (await pay.http.get(url.partition("?")[0])).status_code == 401
    assert (
        await pay.http.post(url.replace("?", "/attempts?"), json={"card_cryptogram": "x"})
    ).status_code == 404
    pay.clock.advance(timedelta(days=13))
    assert (await pay.http.get(url)).status_code == 200  # the link lives as long as the wait
    await confirm(pay, view["id"], 20_000)
    ended = await pay.http.get(url)
    assert "A part has come" in ended.text
    assert "40702810900000000001" not in ended.text
