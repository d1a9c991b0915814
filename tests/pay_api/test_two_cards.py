"""Money of a card that had come to nothing, told while another one is at work: no sum of it is lost."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from tests.pay_api.conftest import OK, OK_3DS, POOR, Pay
from tests.pay_api.test_checkout import enter, opened
from tests.pay_api.test_second_charge import charge_again, end_review, second_of
from tests.pay_api.test_webhooks import fields, tell


async def attempts_of(db: asyncpg.Pool, view: dict[str, Any]) -> list[asyncpg.Record]:
    query = "SELECT * FROM payment_attempt WHERE payment_id = $1 ORDER BY created_at, id"
    return await db.fetch(query, UUID(view["id"]))


async def two_cards(
    pay: Pay, db: asyncpg.Pool, second: str, *, lost: bool = False, believed_never_taken: bool = False
) -> tuple[dict[str, Any], str]:
    """The first card declined, then charged by the provider, untold; the second entered.

    Gives the transaction of the first's money. ``lost``: the second's answer never came, its charge happened.
    """
    view = await opened(pay)
    await enter(pay, view, POOR)
    if believed_never_taken:
        await db.execute(
            "UPDATE payment_attempt SET status = 'closed', transaction_id = NULL WHERE payment_id = $1",
            UUID(view["id"]),
        )
    await pay.fault(kind="suppressed", webhook="pay")
    taken = await charge_again(pay, view, db)
    if lost:
        await pay.fault(kind="suppressed", webhook="pay")
        await pay.fault(kind="timeout_after", method="payments/cards/charge", manner="close")
    assert (await enter(pay, view, second)).status_code == 201
    return view, str(taken["TransactionId"])


async def told(pay: Pay, db: asyncpg.Pool, view: dict[str, Any], card: int, transaction: str) -> None:
    attempt = (await attempts_of(db, view))[card]
    answer = await tell(pay, "pay", fields(view, attempt, TransactionId=transaction))
    assert answer.json() == {"code": 0}


async def refund(pay: Pay, payment_id: str) -> httpx.Response:
    order = {"refund_order_id": payment_id, "amount": {"amount": 100, "currency": "RUB"}, "reason": "asked"}
    return await pay.post(f"/v1/payments/{payment_id}/refunds", order, payment_id)


@pytest.mark.parametrize("believed_never_taken", [True, False])
@pytest.mark.parametrize(("second", "lost"), [(OK_3DS, False), (OK, True)])
async def test_the_person_names_the_card_that_paid_and_refunds_go_there(
    pay: Pay, db: asyncpg.Pool, believed_never_taken: bool, second: str, lost: bool
) -> None:
    """The second card waits for 3-D Secure, with a transaction, or has no verdict, and none."""
    view, first = await two_cards(pay, db, second, lost=lost, believed_never_taken=believed_never_taken)
    await told(pay, db, view, 0, first)
    shown = await pay.show(view["id"])
    tried = await attempts_of(db, view)
    assert shown["status"] == "needs_review"
    assert shown["review_reason"].endswith(f"an attempt that had ended: {tried[0]['id']} ({first})")
    (strange,) = await attempts_of(db, await pay.pay())
    for named, code in ({}, "needed"), ({"transaction_id": strange["transaction_id"]}, "differs"):
        for finding in ("paid", "voided", "declined"):
            refused = await end_review(pay, view["id"], finding, **named)
            assert (refused.status_code, refused.json()["type"]) == (422, f"/problems/transaction-{code}")
    ended = await end_review(pay, view["id"], "paid", transaction_id=first)
    assert (ended.status_code, ended.json()["status"]) == (201, "succeeded")
    assert [row["status"] for row in await attempts_of(db, view)] == ["succeeded", "closed"]
    assert (await refund(pay, view["id"])).json()["status"] == "partially_refunded"
    entries = await pay.oracle(view["user_id"])
    assert [entry["payment_id"] for entry in entries if entry["effect"] == "refunded"] == [int(first)]


async def test_what_the_other_card_took_is_a_payment_of_its_own(pay: Pay, db: asyncpg.Pool) -> None:
    """Told after the review, and told again: it stands there once, and goes back by the ordinary road."""
    view, first = await two_cards(pay, db, OK, lost=True)
    (taken,) = [entry for entry in await pay.oracle(view["user_id"]) if str(entry["transaction_id"]) != first]
    await told(pay, db, view, 0, first)
    await end_review(pay, view["id"], "paid", transaction_id=first)
    for _ in range(2):
        await told(pay, db, view, 1, str(taken["transaction_id"]))
    second = await second_of(pay, view)
    assert (second["status"], second["transaction_id"]) == ("needs_review", str(taken["transaction_id"]))
    assert (await end_review(pay, second["id"], "paid")).json()["status"] == "succeeded"
    assert (await refund(pay, second["id"])).json()["status"] == "partially_refunded"
    assert (await pay.show(view["id"]))["status"] == "succeeded"
    entries = await pay.oracle(view["user_id"])
    refunded = [entry["payment_id"] for entry in entries if entry["effect"] == "refunded"]
    assert refunded == [taken["transaction_id"]]


@pytest.mark.parametrize("finding", ["paid", "declined"])
async def test_told_during_the_review_it_is_one_too(pay: Pay, db: asyncpg.Pool, finding: str) -> None:
    view, first = await two_cards(pay, db, OK_3DS)
    await told(pay, db, view, 0, first)
    transaction = (await attempts_of(db, view))[1]["transaction_id"]
    for _ in range(2):
        await told(pay, db, view, 1, transaction)
    second = await second_of(pay, view)
    assert second["transaction_id"] == transaction
    assert first in (await pay.show(view["id"]))["review_reason"]
    refused = await end_review(pay, view["id"], "paid", transaction_id=transaction)
    assert refused.json()["type"] == "/problems/transaction-differs"
    ended = await end_review(pay, view["id"], finding, transaction_id=first)
    assert ended.json()["status"] == {"paid": "succeeded", "declined": "failed"}[finding]
    attempt = (await attempts_of(db, view))[1]
    later = fields(view, attempt, TransactionId=transaction, OperationType="Payment")
    assert (await tell(pay, "confirm", later)).json() == {"code": 0}
    assert (await pay.show(view["id"]))["status"] == ended.json()["status"]
    assert (await end_review(pay, second["id"], "paid")).json()["status"] == "succeeded"


async def test_told_when_the_second_card_has_paid_it_is_one_too(pay: Pay, db: asyncpg.Pool) -> None:
    view, first = await two_cards(pay, db, OK)
    assert (await pay.show(view["id"]))["status"] == "succeeded"
    await told(pay, db, view, 0, first)
    second = await second_of(pay, view)
    assert (second["status"], second["transaction_id"]) == ("needs_review", first)
    assert (await pay.show(view["id"]))["status"] == "succeeded"
