"""A payment under review is ended by a person: paid, declined or voided, once."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from pay_api import rows
from shared.ids import new_id
from tests.pay_api.conftest import OK_3DS, POOR, Pay, event_types, history
from tests.pay_api.test_webhooks import attempt_of, fields, tell


async def under_review(pay: Pay, db: asyncpg.Pool) -> tuple[dict[str, Any], str]:
    """A payment the provider told another sum of, and the provider's transaction."""
    view = await pay.pay(OK_3DS, "action_required")
    values = fields(view, await attempt_of(db, view), Amount="498.00")
    assert (await tell(pay, "pay", values)).json() == {"code": 0}
    assert (await pay.show(view["id"]))["status"] == "needs_review"
    return view, values["TransactionId"]


def word(finding: str, **changes: Any) -> dict[str, Any]:
    return {"finding": finding, "reason": "seen in the cabinet", "actor": "olga", **changes}


async def settle(pay: Pay, payment_id: str, body: dict[str, Any]) -> Any:
    return await pay.post(f"/internal/v1/payments/{payment_id}/review-settlements", body)


async def test_paid_in_part_can_be_given_back_and_leaves_the_invoice_for_another(
    pay: Pay, db: asyncpg.Pool
) -> None:
    view, _ = await under_review(pay, db)
    rival = pay.body(invoice_id=view["invoice_id"], user_id=view["user_id"])
    assert (await pay.start(rival)).json()["type"] == "/problems/payment-in-progress"
    part = {"amount": 49_800, "currency": "RUB"}
    answers = await asyncio.gather(*(settle(pay, view["id"], word("paid", amount=part)) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    shown = await pay.show(view["id"])
    assert (shown["status"], shown["captured"], shown["settles_invoice"]) == ("succeeded", part, False)
    assert (await history(db, view["id"]))[-2:] == [
        ("needs_review", "cloudpayments:paid"),
        ("succeeded", "staff:olga"),
    ]
    assert (await event_types(db, view["id"]))[-2:] == ["payment.needs_review", "payment.succeeded"]
    assert (await pay.start({**rival, "payment_id": str(new_id())})).json()["status"] == "succeeded"


@pytest.mark.parametrize(
    ("finding", "status", "event"),
    [
        ("paid", "succeeded", "payment.succeeded"),
        ("declined", "failed", "payment.failed"),
        ("voided", "cancelled", "payment.cancelled"),
    ],
)
async def test_each_word_ends_the_review(
    pay: Pay, db: asyncpg.Pool, finding: str, status: str, event: str
) -> None:
    view, _ = await under_review(pay, db)
    answer = await settle(pay, view["id"], word(finding))
    assert (answer.status_code, answer.json()["status"]) == (201, status)
    assert (await event_types(db, view["id"]))[-1] == event
    assert (await settle(pay, view["id"], word(finding))).status_code == 201
    assert (await event_types(db, view["id"])).count(event) == 1
    another = await settle(pay, view["id"], word("voided" if finding != "voided" else "paid"))
    assert (another.status_code, another.json()["type"]) == (409, "/problems/review-not-open")
    if finding != "paid":
        again = pay.body(invoice_id=view["invoice_id"], user_id=view["user_id"])
        assert (await pay.start(again)).json()["status"] == "succeeded"


async def test_words_that_cannot_be_are_refused_and_nothing_is_written(pay: Pay, db: asyncpg.Pool) -> None:
    view, _ = await under_review(pay, db)
    for body, status, code in (
        (word("paid", amount={"amount": 49_901, "currency": "RUB"}), 422, "amount-too-large"),
        (word("paid", amount={"amount": 100, "currency": "USD"}), 422, "currency-differs"),
        (word("voided", amount={"amount": 100, "currency": "RUB"}), 422, "amount-without-payment"),
        (word("paid", transaction_id="999"), 422, "transaction-differs"),
        (word("lost"), 422, "invalid-request"),
    ):
        answer = await settle(pay, view["id"], body)
        assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), body
    assert (await settle(pay, str(new_id()), word("paid"))).status_code == 404
    assert (await settle(pay, (await pay.pay())["id"], word("paid"))).status_code == 409
    assert (await pay.show(view["id"]))["status"] == "needs_review"
    await db.execute(
        "UPDATE payment_attempt SET transaction_id = NULL WHERE payment_id::text = $1", view["id"]
    )
    answer = await settle(pay, view["id"], word("paid"))
    assert answer.json()["type"] == "/problems/transaction-needed"
    named = word("paid", transaction_id="5550001")
    assert (await settle(pay, view["id"], named)).json()["status"] == "succeeded"


async def test_wrong_money_of_a_failed_payment_beside_the_one_that_paid(pay: Pay, db: asyncpg.Pool) -> None:
    """The invoice has its payment: the other's money is late, and stands beside it while people look."""
    view = await pay.pay(POOR, "failed")
    second = await pay.pay(invoice_id=view["invoice_id"], user_id=view["user_id"])
    values = fields(view, await attempt_of(db, view), Amount="498.00")
    assert (await tell(pay, "pay", values)).json() == {"code": 0}
    shown = await pay.show(view["id"])
    assert (shown["status"], shown["late"]) == ("needs_review", True)
    outcome = "SELECT outcome FROM webhook WHERE transaction_id = $1 AND kind = 'paid'"
    assert await db.fetchval(outcome, values["TransactionId"]) == "review"
    part = {"amount": 49_800, "currency": "RUB"}
    settled = (await settle(pay, view["id"], word("paid", amount=part))).json()
    assert (settled["status"], settled["captured"], settled["late"]) == ("succeeded", part, True)
    assert (await pay.show(second["id"]))["status"] == "succeeded"
    third = await pay.start(pay.body(invoice_id=view["invoice_id"], user_id=view["user_id"]))
    assert (third.status_code, third.json()["payment_id"]) == (409, second["id"])


async def test_money_of_a_hold_given_back_beside_the_payment_that_followed(
    pay: Pay, db: asyncpg.Pool
) -> None:
    view = await pay.pay(expect="authorized", capture="manual")
    cancel = {"cancellation_id": view["id"], "reason": "asked"}
    assert (await pay.post(f"/v1/payments/{view['id']}/cancel", cancel)).json()["status"] == "cancelled"
    second = await pay.pay(invoice_id=view["invoice_id"], user_id=view["user_id"])
    await tell(pay, "pay", fields(view, await attempt_of(db, view)))
    shown = await pay.show(view["id"])
    assert (shown["status"], shown["late"]) == ("needs_review", True)
    # A person finds that nothing was taken: it is no late money after all, and the invoice stays paid.
    settled = (await settle(pay, view["id"], word("voided"))).json()
    assert (settled["status"], settled["late"]) == ("cancelled", False)
    assert (await pay.show(second["id"]))["status"] == "succeeded"


async def test_late_money_that_takes_the_invoice_while_another_payment_begins(
    pay: Pay, db: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has looked and seen a free invoice; then the first one's money comes: 409, not 500."""
    view = await pay.pay(POOR, "failed")
    attempt = await attempt_of(db, view)
    looked, keep = [], rows.known_payments

    async def look(*arguments: Any) -> Any:
        seen = await keep(*arguments)
        if not looked:
            looked.append(seen)
            await asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(tell(pay, "pay", fields(view, attempt)), here)
            )
        return seen

    here = asyncio.get_running_loop()
    monkeypatch.setattr(rows, "known_payments", look)
    rival = await pay.start(pay.body(invoice_id=view["invoice_id"], user_id=view["user_id"]))
    assert looked == [[]]
    assert (rival.status_code, rival.json()["type"]) == (409, "/problems/payment-in-progress")
    assert rival.json()["payment_id"] == view["id"]
    assert (await pay.show(view["id"]))["status"] == "succeeded"
