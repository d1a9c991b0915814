"""Money taken twice under one attempt: a payment of its own stands for it and a person ends its review."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from pay_api.pay_service.compare_daily import Result, compare
from pay_api.pay_service.context import Context
from pay_api.worker import apply_waiting_webhooks
from shared.ids import new_id
from tests.pay_api.conftest import OK_3DS, Pay, event_types, history, reconcile_all
from tests.pay_api.test_receipts import rub
from tests.pay_api.test_webhooks import attempt_of, fields, tell


async def charge_again(pay: Pay, view: dict[str, Any], db: asyncpg.Pool, **changes: Any) -> dict[str, Any]:
    """The provider really charges once more under the attempt's InvoiceId, under another X-Request-ID."""
    attempt = await attempt_of(db, view)
    receipt = {
        "Items": [{"label": "Подписка", "price": 499, "quantity": 1, "amount": 499, "vat": 20}],
        "email": "viewer@example.com",
    }
    body = {
        "Amount": 499,
        "IpAddress": "203.0.113.7",
        "CardCryptogramPacket": pay.cryptogram(),
        "InvoiceId": str(attempt["id"]),
        "AccountId": view["user_id"],
        "JsonData": json.dumps({"cloudpayments": {"CustomerReceipt": receipt}}),
        **changes,
    }
    settings = pay.house.settings
    secret = settings.cloudpayments_api_secret.get_secret_value()
    answer = await pay.http.post(
        f"{pay.house.sandbox_url}/payments/cards/{'auth' if changes.get('held') else 'charge'}",
        json={name: value for name, value in body.items() if name != "held"},
        auth=httpx.BasicAuth(settings.cloudpayments_public_id, secret),
        headers={"X-Request-ID": str(new_id())},
    )
    return dict(answer.json()["Model"])


async def second_of(pay: Pay, view: dict[str, Any]) -> dict[str, Any]:
    """The payment that stands for the second money, once the notification has been taken in."""
    for _ in range(100):
        found = (await pay.show(view["id"]))["second_charges"]
        if found:
            (told,) = found
            second = await pay.show(told["payment_id"])
            assert second["second_charge_of"] == view["id"]
            return {**second, "transaction_id": told["transaction_id"]}
        await asyncio.sleep(0.05)
    raise AssertionError("nobody knows of the second charge")


async def end_review(pay: Pay, payment_id: str, finding: str, **more: Any) -> httpx.Response:
    word = {"finding": finding, "reason": "both stand in the cabinet", "actor": "olga", **more}
    return await pay.post(f"/internal/v1/payments/{payment_id}/review-settlements", word)


async def test_charged_twice_nothing_is_lost_and_a_person_gives_it_back(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    view = await pay.pay()
    again = await charge_again(pay, view, db)
    second = await second_of(pay, view)
    assert [effect for effect, _ in await pay.effects(view["user_id"])] == ["charged", "charged"]
    # The first is as it was; the second is there to be seen, with all that a person needs.
    first = await pay.show(view["id"])
    assert (first["status"], first["captured"], first["review_reason"]) == ("succeeded", rub(49_900), None)
    assert (await event_types(db, view["id"])).count("payment.succeeded") == 1
    assert second["transaction_id"] == str(again["TransactionId"])
    assert (second["status"], second["amount"], second["late"]) == ("needs_review", rub(49_900), True)
    assert str(again["TransactionId"]) in second["review_reason"]
    assert await event_types(db, second["id"]) == ["payment.created", "payment.needs_review"]
    assert await history(db, second["id"]) == [
        ("created", "cloudpayments:paid"),
        ("needs_review", "cloudpayments:paid"),
    ]
    # The cabinet shows it was taken: it is ordinary money now, and goes back by the ordinary road.
    assert (await end_review(pay, second["id"], "paid")).json()["status"] == "succeeded"
    order = {"refund_order_id": str(new_id()), "amount": rub(49_900), "reason": "charged twice"}
    back = await pay.post(f"/v1/payments/{second['id']}/refunds", order, order["refund_order_id"])
    assert back.json()["status"] == "refunded"
    assert (await pay.show(view["id"]))["status"] == "succeeded"
    entries = await pay.oracle(view["user_id"])
    assert [(entry["effect"], entry["payment_id"]) for entry in entries][2:] == [
        ("refunded", again["TransactionId"])
    ]
    # Each sum has its receipt, and the receipt of the second charge is not taken for the first one's.
    pay.clock.advance(timedelta(seconds=30))
    for _ in range(600):
        await apply_waiting_webhooks(ctx)
        papers = [(await pay.show(each))["receipts"] for each in (view["id"], second["id"])]
        if all(paper["status"] == "issued" for each in papers for paper in each):
            break
        await asyncio.sleep(0.05)
    assert [[paper["status"] for paper in each] for each in papers] == [["issued"], ["issued", "issued"]]


async def test_told_ten_times_and_read_from_the_register_it_is_one(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    await reconcile_all(ctx)
    pay.clock.advance(timedelta(days=5))
    view = await pay.pay()
    await pay.fault(kind="suppressed", webhook="pay")
    again = await charge_again(pay, view, db)
    pay.clock.advance(timedelta(hours=1))
    counts = (await compare(ctx))["cloudpayments"]
    assert counts is not None
    assert (counts[Result.MATCH], counts[Result.PROVIDER_ONLY]) == (1, 1)
    second = await second_of(pay, view)  # nobody told: the daily comparison found it
    assert second["status"] == "needs_review"
    attempt = await attempt_of(db, view)
    values = fields(view, attempt, TransactionId=str(again["TransactionId"]))
    await asyncio.gather(*(tell(pay, "pay", values) for _ in range(10)))
    assert (await second_of(pay, view))["id"] == second["id"]
    assert (await pay.show(second["id"]))["status"] == "needs_review"  # telling it again decides nothing
    counts = (await compare(ctx))["cloudpayments"]
    assert counts is not None
    assert counts[Result.PROVIDER_ONLY] == 1  # until a person has ended it
    await end_review(pay, second["id"], "paid")
    counts = (await compare(ctx))["cloudpayments"]
    assert counts is not None
    assert (counts[Result.MATCH], counts.total()) == (2, 2)


async def test_a_refund_in_the_cabinet_belongs_to_the_money_it_gives_back(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay()
    again = await charge_again(pay, view, db)
    second = await second_of(pay, view)
    await end_review(pay, second["id"], "paid")
    values = {
        "TransactionId": str(new_id().int % 10**12),
        "PaymentTransactionId": str(again["TransactionId"]),
        "Amount": "499.00",
        "DateTime": "2026-01-01 10:00:00",
        "OperationType": "Refund",
        "InvoiceId": str((await attempt_of(db, view))["id"]),
    }
    await tell(pay, "refund", values)
    assert (await pay.show(second["id"]))["status"] == "refunded"
    assert (await pay.show(view["id"]))["status"] == "succeeded"


@pytest.mark.parametrize("kind", ["fail", "cancel"])
async def test_another_transaction_that_came_to_nothing_says_nothing_of_ours(
    pay: Pay, db: asyncpg.Pool, kind: str
) -> None:
    view = await pay.pay(expect="authorized", capture="manual")
    values = fields(view, await attempt_of(db, view), TransactionId=str(new_id().int % 10**12))
    if kind == "fail":
        values |= {"Reason": "InsufficientFunds", "ReasonCode": "5051"}
    assert (await tell(pay, kind, values)).json() == {"code": 0}
    shown = await pay.show(view["id"])
    assert (shown["status"], shown["second_charges"]) == ("authorized", [])


async def test_a_second_hold_is_ended_as_voided_and_the_first_is_captured(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay(expect="authorized", capture="manual")
    await charge_again(pay, view, db, held=True)
    second = await second_of(pay, view)
    assert (second["status"], second["captured"]) == ("needs_review", rub(0))
    captured = await pay.post(f"/v1/payments/{view['id']}/capture", {})
    assert captured.json()["status"] == "succeeded"
    assert (await end_review(pay, second["id"], "voided")).json()["status"] == "cancelled"


async def test_a_capture_of_the_other_is_not_taken_for_ours(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay(expect="authorized", capture="manual")
    await pay.fault(kind="timeout_before", method="payments/confirm", manner="close")
    await pay.post(f"/v1/payments/{view['id']}/capture", {})
    other = fields(view, await attempt_of(db, view), TransactionId=str(new_id().int % 10**12))
    await tell(pay, "confirm", other)
    assert (await second_of(pay, view))["status"] == "needs_review"
    operation = await db.fetchval(
        "SELECT status FROM payment_operation WHERE payment_id = $1", UUID(view["id"])
    )
    assert (operation, (await pay.show(view["id"]))["status"]) == ("unknown", "authorized")


async def test_of_a_payment_without_a_verdict_the_person_names_which_one_paid(
    pay: Pay, db: asyncpg.Pool
) -> None:
    """Its invoice stays taken meanwhile: a new charge could be the second one."""
    view = await pay.pay(OK_3DS, "action_required")
    again = await charge_again(pay, view, db)
    shown = await pay.until(view["id"], "needs_review")
    transaction = str(again["TransactionId"])
    assert transaction in shown["review_reason"]
    rival = await pay.start(pay.body(invoice_id=view["invoice_id"], user_id=view["user_id"]))
    assert rival.status_code == 409
    refused = await end_review(pay, view["id"], "paid", transaction_id="12345")
    assert refused.json()["type"] == "/problems/transaction-differs"
    ended = await end_review(pay, view["id"], "paid", transaction_id=transaction)
    assert (ended.json()["status"], ended.json()["second_charges"]) == ("succeeded", [])
    row = await db.fetchrow("SELECT * FROM payment_attempt WHERE payment_id = $1", UUID(view["id"]))
    assert row["transaction_id"] == transaction
    order = {"refund_order_id": str(new_id()), "amount": rub(100), "reason": "asked"}
    back = await pay.post(f"/v1/payments/{view['id']}/refunds", order, order["refund_order_id"])
    assert back.json()["status"] == "partially_refunded"


async def test_found_by_two_at_once_it_is_one(pay: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    view = await pay.pay()
    await pay.fault(kind="suppressed", webhook="pay")
    again = await charge_again(pay, view, db)
    attempt = await attempt_of(db, view)
    same = {"TransactionId": str(again["TransactionId"])}
    await asyncio.gather(
        *(tell(pay, kind, fields(view, attempt, **same)) for kind in ("pay", "confirm") for _ in range(5))
    )
    assert (await second_of(pay, view))["status"] == "needs_review"
    count = "SELECT count(*) FROM payment WHERE invoice_id = $1"
    assert await db.fetchval(count, UUID(view["invoice_id"])) == 2
