"""Notifications: duplicates, forgeries, wrong sums, early, late and reordered ones; Check."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_plus, urlencode
from uuid import UUID

import asyncpg
import httpx
import pytest

from pay_api.api import webhooks
from pay_api.pay_service.apply_provider_event import apply_stored_event
from pay_api.pay_service.context import Context
from pay_api.worker import apply_waiting_webhooks
from shared.ids import new_id
from tests.pay_api.conftest import OK_3DS, POOR, Pay, event_types

SECRET = "cinema-sandbox-secret"


async def attempt_of(db: asyncpg.Pool, view: dict[str, Any]) -> asyncpg.Record:
    return await db.fetchrow("SELECT * FROM payment_attempt WHERE payment_id = $1", UUID(view["id"]))


def fields(view: dict[str, Any], attempt: asyncpg.Record, **changes: str) -> dict[str, str]:
    return {
        "TransactionId": attempt["transaction_id"] or "777000111",
        "Amount": "499.00",
        "Currency": "RUB",
        "InvoiceId": str(attempt["id"]),
        "AccountId": view["user_id"],
        "Status": "Completed",
        "OperationType": "Payment",
        "CardFirstSix": "424242",
        "CardLastFour": "4242",
        "CardType": "Visa",
        "CardExpDate": "12/40",
        "TestMode": "1",
        "Description": "Подписка",
        **changes,
    }


async def tell(
    pay: Pay, kind: str, values: dict[str, str], *, secret: str = SECRET, header: str = "Content-HMAC"
) -> httpx.Response:
    body = urlencode(values).encode()
    message = body if header == "Content-HMAC" else unquote_plus(body.decode()).encode()
    signature = base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()
    return await pay.http.post(
        f"{pay.house.pay_url}/v1/webhooks/cloudpayments/{kind}",
        content=body,
        headers={"Content-Type": "application/x-www-form-urlencoded", header: signature},
    )


async def test_duplicates_in_parallel_have_one_effect(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay(OK_3DS, "action_required")
    values = fields(view, await attempt_of(db, view))
    answers = await asyncio.gather(*(tell(pay, "pay", values) for _ in range(20)))
    assert {answer.text for answer in answers} == {'{"code":0}'}
    assert (await pay.show(view["id"]))["status"] == "succeeded"
    assert (await event_types(db, view["id"])).count("payment.succeeded") == 1
    row = await db.fetchrow("SELECT * FROM webhook WHERE transaction_id = $1", values["TransactionId"])
    assert row["duplicates"] == 19
    pay.clock.advance(timedelta(days=3))
    assert (await tell(pay, "pay", values)).json() == {"code": 0}
    assert (await event_types(db, view["id"])).count("payment.succeeded") == 1


async def test_either_signature_header_is_taken(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay(OK_3DS, "action_required")
    values = fields(view, await attempt_of(db, view))
    assert (await tell(pay, "pay", values, header="X-Content-HMAC")).json() == {"code": 0}
    assert (await pay.show(view["id"]))["status"] == "succeeded"


async def test_forged_is_refused_logged_and_nothing_is_stored(
    pay: Pay, db: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(webhooks.log, "warning", lambda event, **values: logged.append((event, values)))
    view = await pay.pay(OK_3DS, "action_required")
    values = fields(view, await attempt_of(db, view))
    for answer in (
        await tell(pay, "pay", values, secret="wrong"),
        await tell(pay, "pay", values, secret="wrong", header="X-Content-HMAC"),
        await pay.http.post(
            f"{pay.house.pay_url}/v1/webhooks/cloudpayments/pay", content=urlencode(values).encode()
        ),
    ):
        assert answer.status_code == 401
        assert answer.json()["type"] == "/problems/signature-invalid"
    digest = hashlib.sha256(urlencode(values).encode()).hexdigest()[:16]
    assert logged == [("webhook-forged", {"provider": "cloudpayments", "digest": digest})] * 3
    stored = "SELECT count(*) FROM webhook WHERE transaction_id = $1"
    assert await db.fetchval(stored, values["TransactionId"]) == 0
    assert (await pay.show(view["id"]))["status"] == "action_required"


async def test_wrong_amount_currency_or_account_goes_to_review(pay: Pay, db: asyncpg.Pool) -> None:
    for changes in ({"Amount": "4.99"}, {"Currency": "USD"}, {"AccountId": str(new_id())}):
        view = await pay.pay(OK_3DS, "action_required")
        await tell(pay, "pay", fields(view, await attempt_of(db, view), **changes))
        assert (await pay.show(view["id"]))["status"] == "needs_review"
        assert (await event_types(db, view["id"]))[-1] == "payment.needs_review"
        # Only a person ends such a review.
        await tell(pay, "confirm", fields(view, await attempt_of(db, view)))
        assert (await pay.show(view["id"]))["status"] == "needs_review"


async def test_notification_before_our_answer(pay: Pay, db: asyncpg.Pool) -> None:
    await pay.fault(kind="early", webhook="pay")
    await pay.fault(kind="delay", method="payments/cards/charge", seconds=0.6)
    view = await pay.pay()
    await asyncio.sleep(0.3)
    assert await event_types(db, view["id"]) == ["payment.created", "payment.succeeded"]
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]


async def test_fail_after_pay_is_ignored(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay()
    values = fields(view, await attempt_of(db, view), ReasonCode="5051", Reason="InsufficientFunds")
    del values["Status"]
    assert (await tell(pay, "fail", values)).json() == {"code": 0}
    assert (await pay.show(view["id"]))["status"] == "succeeded"


async def test_money_for_a_closed_payment_is_late(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay(OK_3DS, "action_required")
    attempt = await attempt_of(db, view)
    await pay.post(f"/v1/payments/{view['id']}/cancel", {"cancellation_id": view["id"], "reason": "x"})
    await tell(pay, "pay", fields(view, attempt))
    shown = await pay.show(view["id"])
    assert shown["status"] == "succeeded"
    assert shown["late"] is True
    refused = await pay.start(pay.body(invoice_id=view["invoice_id"], user_id=view["user_id"]))
    assert refused.status_code == 409


async def test_late_money_beside_another_payment_of_the_invoice(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay(POOR, "failed")
    second = await pay.pay(invoice_id=view["invoice_id"], user_id=view["user_id"])
    await tell(pay, "pay", fields(view, await attempt_of(db, view)))
    first = await pay.show(view["id"])
    assert (first["status"], first["late"]) == ("succeeded", True)
    assert (await pay.show(second["id"]))["status"] == "succeeded"


async def test_unknown_payment_waits_and_becomes_an_orphan(pay: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    values = fields({"user_id": str(new_id())}, {"id": new_id(), "transaction_id": str(new_id().int % 10**9)})
    assert (await tell(pay, "pay", values)).json() == {"code": 0}
    for _ in range(8):
        pay.clock.advance(timedelta(hours=2))
        await apply_waiting_webhooks(ctx)
    row = await db.fetchrow("SELECT * FROM webhook WHERE transaction_id = $1", values["TransactionId"])
    assert row["outcome"] == "orphan"
    assert await apply_stored_event(ctx, row["id"]) is None


async def test_refund_made_in_the_providers_cabinet(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay()
    attempt = await attempt_of(db, view)
    values = {
        "TransactionId": str(new_id().int % 10**9),
        "PaymentTransactionId": attempt["transaction_id"],
        "Amount": "100.00",
        "DateTime": "2026-01-01 10:00:00",
        "OperationType": "Refund",
        "InvoiceId": str(attempt["id"]),
    }
    await tell(pay, "refund", values)
    shown = await pay.show(view["id"])
    assert shown["status"] == "partially_refunded"
    assert shown["refunded"]["amount"] == 10_000
    await tell(pay, "refund", {**values, "TransactionId": "5", "Amount": "499.00"})
    assert (await pay.show(view["id"]))["refunded"]["amount"] == 10_000
    outcome = await db.fetchval(
        "SELECT outcome FROM webhook WHERE transaction_id = '5' AND kind = 'refunded'"
    )
    assert outcome == "review"


async def test_check_answers_from_the_real_state(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay(OK_3DS, "action_required")
    attempt = await attempt_of(db, view)

    async def check(**changes: str) -> int:
        return (await tell(pay, "check", fields(view, attempt, **changes))).json()["code"]

    before = await db.fetchval("SELECT count(*) FROM webhook")
    assert await check() == 0
    assert await check(InvoiceId=str(new_id())) == 10
    assert await check(InvoiceId="order-1") == 10
    assert await check(AccountId=str(new_id())) == 11
    assert await check(Amount="499.01") == 12
    pay.clock.advance(timedelta(minutes=31))
    assert await check() == 20
    await pay.post(f"/v1/payments/{view['id']}/cancel", {"cancellation_id": view["id"], "reason": "x"})
    paid = await pay.pay()
    assert (await tell(pay, "check", fields(paid, await attempt_of(db, paid)))).json() == {"code": 13}
    assert await db.fetchval("SELECT count(*) FROM webhook WHERE kind = 'check'") == 0
    assert before <= await db.fetchval("SELECT count(*) FROM webhook")


async def test_token_is_stored_encrypted_only(pay: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    view = await pay.pay(OK_3DS, "action_required")
    values = fields(view, await attempt_of(db, view), Token="tk_of_the_notification")
    await tell(pay, "pay", values)
    row = await db.fetchrow("SELECT * FROM webhook WHERE transaction_id = $1", values["TransactionId"])
    assert "tk_of" not in row["event"]
    assert ctx.vault.open(row["token_encrypted"]) == "tk_of_the_notification"


async def test_malformed_or_unknown_is_a_problem(pay: Pay) -> None:
    assert (await tell(pay, "pay", {"Amount": "1"})).status_code == 400
    assert (await tell(pay, "weather", {"Amount": "1"})).status_code == 400
    answer = await pay.http.post(f"{pay.house.pay_url}/v1/webhooks/nobody/pay")
    assert answer.status_code == 404
