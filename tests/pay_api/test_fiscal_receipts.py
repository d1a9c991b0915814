"""Fiscal receipts that must come: expected with the money, issued by notification, missed by a ladder."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from pay_api.pay_service.context import Context
from pay_api.pay_service.ladder import next_receipt_look_at
from pay_api.worker import RECEIPTS, apply_waiting_webhooks
from shared.ids import new_id
from tests.pay_api.conftest import OK_3DS, Pay, reconcile_all
from tests.pay_api.test_receipts import refund, rub
from tests.pay_api.test_webhooks import attempt_of, fields, tell

PRINTING, DAY = timedelta(seconds=1), timedelta(days=1)


async def until_issued(pay: Pay, payment_id: str, count: int = 1) -> list[dict[str, Any]]:
    """The receipts once so many are issued; the device needs a second of the suite's clock for each."""
    pay.clock.advance(PRINTING)
    for _ in range(600):
        found = (await pay.show(payment_id))["receipts"]
        if sum(each["status"] == "issued" for each in found) >= count:
            return list(found)
        await asyncio.sleep(0.05)
    raise AssertionError(f"not issued: {found}")


def printed(transaction_id: str, invoice_id: Any = "", **changes: str) -> dict[str, str]:
    receipt_id = str(new_id())
    return {
        "Id": receipt_id,
        "DocumentNumber": "7",
        "SessionNumber": "1",
        "Number": "7",
        "FiscalSign": "0123456789",
        "DeviceNumber": "1",
        "RegNumber": "1",
        "FiscalNumber": "9999078900000001",
        "Inn": "7700000000",
        "Type": "Income",
        "Ofd": "OFD",
        "Url": f"https://ofd.example/rec/{receipt_id}",
        "QrCodeUrl": "",
        "Amount": "499.00",
        "DateTime": "2026-05-12 09:30:02",
        "Receipt": '{"Items":[]}',
        "TransactionId": transaction_id,
        "InvoiceId": str(invoice_id),
        **changes,
    }


async def untold(pay: Pay, db: asyncpg.Pool) -> tuple[dict[str, Any], str]:
    """A payment whose receipt the provider prints and does not tell of, and its transaction."""
    await pay.fault(kind="suppressed", webhook="receipt")
    view = await pay.pay()
    return view, (await attempt_of(db, view))["transaction_id"]


async def outcome(db: asyncpg.Pool, receipt_id: str) -> str | None:
    row = await db.fetchrow("SELECT outcome FROM webhook WHERE kind = 'receipt' AND status = $1", receipt_id)
    assert row is not None, "not stored"
    return row["outcome"]


async def receipts_of(pay: Pay, view: dict[str, Any]) -> list[tuple[str, int, str]]:
    found = (await pay.show(view["id"]))["receipts"]
    return [(each["kind"], each["amount"]["amount"], each["status"]) for each in found]


async def test_a_charge_and_its_refunds_get_theirs_from_the_provider(pay: Pay, db: asyncpg.Pool) -> None:
    started = await pay.start(pay.body())
    view = started.json()
    (awaited,) = view["receipts"]  # in the answer itself, as in every later one
    assert (awaited["kind"], awaited["status"], awaited["url"]) == ("income", "pending", None)
    assert (await pay.show(view["id"]))["receipts"] == [awaited]
    (income,) = await until_issued(pay, view["id"])
    assert income["amount"] == income["issued_amount"] == rub(49_900)
    assert income["url"].startswith("https://ofd.invalid/rec/")
    assert income["issued_at"] is not None
    for kopecks in (20_000, 20_000):
        await refund(pay, view["id"], kopecks)
    assert await receipts_of(pay, view) == [
        ("income", 49_900, "issued"),
        ("income_return", 20_000, "pending"),
        ("income_return", 20_000, "pending"),
    ]
    found = await until_issued(pay, view["id"], 3)
    refunds = [each["id"] for each in (await pay.show(view["id"]))["refunds"]]
    assert [each["refund_id"] for each in found] == [None, *refunds]
    assert len({each["url"] for each in found}) == 3
    row = await db.fetchrow("SELECT * FROM payment_receipt WHERE refund_id = $1", UUID(refunds[0]))
    assert all(row[name] for name in ("document_number", "fiscal_sign", "device_number"))
    (listed,) = (await pay.get("/v1/payments", user_id=view["user_id"])).json()["items"]
    assert listed["receipts"] == found


async def test_of_a_hold_comes_what_was_captured(pay: Pay) -> None:
    view = await pay.pay(expect="authorized", capture="manual")
    assert view["receipts"] == []
    path = f"/v1/payments/{view['id']}/capture"
    assert (await pay.post(path, {"amount": rub(12_345)})).json()["status"] == "succeeded"
    await until_issued(pay, view["id"])
    assert await receipts_of(pay, view) == [("income", 12_345, "issued")]


async def test_who_reports_no_receipts_owes_none(pay: Pay) -> None:
    body = pay.body(provider="bank_transfer", method={"kind": "bank_transfer"})
    view = (await pay.start(body)).json()
    word = {"confirmation_id": str(new_id()), "amount": rub(49_900), "reason": "line 4", "actor": "olga"}
    answer = await pay.post(f"/internal/v1/payments/{view['id']}/transfer-confirmations", word)
    assert (answer.json()["status"], answer.json()["receipts"]) == ("succeeded", [])


async def test_before_the_payments_own_verdict_it_waits(pay: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    await pay.fault(kind="early", webhook="receipt")
    view = await pay.pay()  # told while PayAPI waits for the answer to the charge
    transaction = (await attempt_of(db, view))["transaction_id"]
    heard = await db.fetchrow(
        "SELECT * FROM webhook WHERE kind = 'receipt' AND transaction_id = $1", transaction
    )
    assert (heard["outcome"], heard["attempts"]) == (None, 1)
    assert await receipts_of(pay, view) == [("income", 49_900, "pending")]
    pay.clock.advance(timedelta(seconds=10))
    await apply_waiting_webhooks(ctx)
    assert await receipts_of(pay, view) == [("income", 49_900, "issued")]


async def test_a_hundred_at_once_are_one(pay: Pay, db: asyncpg.Pool) -> None:
    view, transaction = await untold(pay, db)
    values = printed(transaction)
    answers = await asyncio.gather(*(tell(pay, "receipt", values) for _ in range(100)))
    assert {answer.text for answer in answers} == {'{"code":0}'}
    row = await db.fetchrow("SELECT * FROM webhook WHERE status = $1", values["Id"])
    assert (row["outcome"], row["duplicates"]) == ("applied", 99)
    (receipt,) = (await pay.show(view["id"]))["receipts"]
    assert (receipt["url"], receipt["issued_at"]) == (values["Url"], "2026-05-12T09:30:02Z")


async def test_forged_and_unreadable_ones_leave_nothing(pay: Pay, db: asyncpg.Pool) -> None:
    view, transaction = await untold(pay, db)
    values = printed(transaction)
    assert (await tell(pay, "receipt", values, secret="another")).status_code == 401
    for broken in ({"Amount": "x"}, {"Id": ""}, {"DateTime": "soon"}, {"TransactionId": "-1"}):
        assert (await tell(pay, "receipt", values | broken)).status_code == 400, broken
    assert await db.fetchval("SELECT count(*) FROM webhook WHERE status = $1", values["Id"]) == 0
    assert await receipts_of(pay, view) == [("income", 49_900, "pending")]


async def test_another_sum_is_flagged_and_told(pay: Pay, db: asyncpg.Pool) -> None:
    view, transaction = await untold(pay, db)
    values = printed(transaction, Amount="49.90")
    await tell(pay, "receipt", values)
    (receipt,) = (await pay.show(view["id"]))["receipts"]
    assert (receipt["status"], receipt["issued_amount"]) == ("mismatch", rub(4_990))
    assert await outcome(db, values["Id"]) == "review"
    more = printed(transaction)  # a second one does not cover up the first
    await tell(pay, "receipt", more)
    assert await outcome(db, more["Id"]) == "review"
    assert await receipts_of(pay, view) == [("income", 49_900, "mismatch")]


async def test_a_refunds_receipt_that_names_its_payment_takes_the_refund_of_its_sum(
    pay: Pay, db: asyncpg.Pool
) -> None:
    view, transaction = await untold(pay, db)
    await pay.fault(kind="suppressed", webhook="receipt", count=2)
    for kopecks in (10_000, 20_000):
        await refund(pay, view["id"], kopecks)
    values = printed(transaction, Type="IncomeReturn", Amount="200.00")
    await tell(pay, "receipt", values)
    assert await receipts_of(pay, view) == [
        ("income", 49_900, "pending"),
        ("income_return", 10_000, "pending"),
        ("income_return", 20_000, "issued"),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"TransactionId": ""}, "ignored"),  # of no payment at all
        ({"Type": "Expense"}, "ignored"),
        ({}, "orphan"),
        ({"TransactionId": "", "InvoiceId": "order-77"}, "orphan"),
        ({"Type": "IncomeReturn"}, "orphan"),
    ],
)
async def test_of_no_payment_of_ours(
    pay: Pay, ctx: Context, db: asyncpg.Pool, changes: dict[str, str], expected: str
) -> None:
    values = printed(str(new_id().int % 10**12), **changes)
    assert (await tell(pay, "receipt", values)).json() == {"code": 0}
    for _ in range(8):
        pay.clock.advance(timedelta(hours=2))
        await apply_waiting_webhooks(ctx)
    found = await db.fetchval(
        "SELECT outcome FROM webhook WHERE $1 IN (status, transaction_id)", values["Id"]
    )
    assert found == expected


async def test_one_that_does_not_come_is_missed_by_the_ladder_and_still_taken_late(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    await reconcile_all(ctx)
    view, transaction = await untold(pay, db)
    row = "SELECT looks, status FROM payment_receipt WHERE payment_id = $1"
    aged = RECEIPTS.sql.replace("WHERE", f"WHERE payment_id = '{view['id']}' AND")
    seen = []
    for leap in (timedelta(0), timedelta(minutes=5), timedelta(minutes=55), timedelta(hours=23), 2 * DAY):
        pay.clock.advance(leap)
        await reconcile_all(ctx)
        looks, status = await db.fetchrow(row, UUID(view["id"]))
        ((age, count),) = await db.fetch(aged)
        assert count == 1
        seen.append((looks, status, age))
    assert seen == [
        (0, "pending", "0"),
        (1, "pending", "5m"),
        (2, "pending", "1h"),
        (3, "overdue", "1d"),
        (4, "overdue", "1d"),
    ]
    assert await receipts_of(pay, view) == [("income", 49_900, "overdue")]
    await tell(pay, "receipt", printed(transaction))
    assert await receipts_of(pay, view) == [("income", 49_900, "issued")]
    assert await db.fetch(aged) == []


def test_the_ladder_goes_on_day_by_day(pay: Pay) -> None:
    began = pay.clock.now()
    at, looked = began, []
    for _ in range(5):
        at = next_receipt_look_at(began, at)
        looked.append(at - began)
    assert looked == [timedelta(minutes=5), timedelta(hours=1), DAY, 2 * DAY, 3 * DAY]
    assert next_receipt_look_at(began, began + 9.5 * DAY) == began + 10 * DAY


async def test_one_told_too_early_and_given_up_is_found_by_the_ladder(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    view = await pay.pay(OK_3DS, "action_required")
    attempt = await attempt_of(db, view)
    values = printed(attempt["transaction_id"], attempt["id"])
    await tell(pay, "receipt", values)
    for _ in range(8):
        pay.clock.advance(timedelta(hours=2))
        await apply_waiting_webhooks(ctx)
    assert await outcome(db, values["Id"]) == "orphan"
    await tell(pay, "pay", fields(view, attempt))
    assert await receipts_of(pay, view) == [("income", 49_900, "pending")]
    pay.clock.advance(timedelta(minutes=5))
    await reconcile_all(ctx)
    assert await receipts_of(pay, view) == [("income", 49_900, "issued")]
    assert await outcome(db, values["Id"]) == "applied"


async def test_money_that_moved_before_such_rows_were_kept(pay: Pay, db: asyncpg.Pool) -> None:
    """As from a release before them, which may still run beside this one."""
    view, transaction = await untold(pay, db)
    await pay.fault(kind="suppressed", webhook="receipt")
    await refund(pay, view["id"], 10_000)
    await db.execute("DELETE FROM payment_receipt WHERE payment_id = $1", UUID(view["id"]))
    of_refund = await db.fetchval(
        "SELECT transaction_id FROM payment_refund WHERE payment_id = $1", UUID(view["id"])
    )
    await tell(pay, "receipt", printed(transaction))
    await tell(pay, "receipt", printed(of_refund, Type="IncomeReturn", Amount="100.00"))
    assert await receipts_of(pay, view) == [
        ("income", 49_900, "issued"),
        ("income_return", 10_000, "issued"),
    ]


async def test_a_link_that_is_none_is_not_shown(pay: Pay, db: asyncpg.Pool) -> None:
    view, transaction = await untold(pay, db)
    await tell(pay, "receipt", printed(transaction, Url="javascript:alert(1)"))
    (receipt,) = (await pay.show(view["id"]))["receipts"]
    assert (receipt["status"], receipt["url"]) == ("issued", None)
