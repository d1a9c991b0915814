"""A refund left to people, and the money of it heard of from the provider after all: it counts once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from pay_api.pay_service.compare_daily import compare
from pay_api.pay_service.context import Context
from shared.ids import new_id
from tests.pay_api.conftest import Pay, event_types
from tests.pay_api.test_comparison import AN_HOUR, quiet  # noqa: F401 - a fixture
from tests.pay_api.test_webhooks import attempt_of, tell

PART = {"amount": 10_000, "currency": "RUB"}


async def left_to_people(pay: Pay, db: asyncpg.Pool, *, really_sent: bool) -> tuple[dict[str, Any], str]:
    """A payment with a refund of a part that was given up; the provider did it untold, or did not."""
    view = await pay.pay()
    await pay.fault(kind="suppressed", webhook="refund", count=2)
    fault = "timeout_after" if really_sent else "timeout_before"
    await pay.fault(kind=fault, method="payments/refund", manner="close")
    order = {"refund_order_id": str(new_id()), "amount": PART, "reason": "asked"}
    shown = (await pay.post(f"/v1/payments/{view['id']}/refunds", order)).json()
    await db.execute("UPDATE payment_refund SET next_query_at = NULL WHERE payment_id = $1", UUID(view["id"]))
    return view, shown["refunds"][0]["id"]


async def in_the_cabinet(pay: Pay, attempt: asyncpg.Record) -> None:
    auth = (pay.house.settings.cloudpayments_public_id, "cinema-sandbox-secret")
    body = {"TransactionId": int(attempt["transaction_id"]), "Amount": 100}
    answer = await pay.http.post(f"{pay.house.sandbox_url}/payments/refund", json=body, auth=auth)
    assert answer.json()["Success"]


async def say_sent(pay: Pay, payment_id: str, refund_id: str) -> int:
    word = {"refund_id": refund_id, "reason": "seen in the cabinet", "actor": "olga"}
    return (await pay.post(f"/internal/v1/payments/{payment_id}/refund-confirmations", word)).status_code


async def notified(pay: Pay, attempt: asyncpg.Record, effect: dict[str, Any]) -> None:
    values = {
        "TransactionId": str(effect["transaction_id"]),
        "PaymentTransactionId": attempt["transaction_id"],
        "Amount": "100.00",
        "DateTime": "2027-01-01 10:00:00",
        "OperationType": "Refund",
        "InvoiceId": str(attempt["id"]),
    }
    assert (await tell(pay, "refund", values)).json() == {"code": 0}


@pytest.mark.parametrize("really_sent", [True, False], ids=["ours", "in the cabinet"])
@pytest.mark.parametrize("person_first", [True, False], ids=["person first", "provider first"])
@pytest.mark.parametrize("heard", ["by notification", "by comparison"])
async def test_it_counts_once(
    quiet: Pay,  # noqa: F811
    ctx: Context,
    db: asyncpg.Pool,
    really_sent: bool,
    person_first: bool,
    heard: str,
) -> None:
    view, refund_id = await left_to_people(quiet, db, really_sent=really_sent)
    attempt = await attempt_of(db, view)
    if not really_sent:
        await in_the_cabinet(quiet, attempt)
    (effect,) = [one for one in await quiet.oracle(view["user_id"]) if one["effect"] == "refunded"]
    if person_first:
        assert await say_sent(quiet, view["id"], refund_id) == 201
    if heard == "by notification":
        await notified(quiet, attempt, effect)
    else:
        quiet.clock.advance(AN_HOUR)
        await compare(ctx)
    if not person_first:
        assert await say_sent(quiet, view["id"], refund_id) == 409  # it is known already
    shown = await quiet.show(view["id"])
    assert (shown["status"], shown["refunded"]) == ("partially_refunded", PART)
    assert [(one["id"], one["status"]) for one in shown["refunds"]] == [(refund_id, "succeeded")]
    assert (await event_types(db, view["id"])).count("payment.refunded") == 1
    stored = await db.fetchval("SELECT transaction_id FROM payment_refund WHERE id::text = $1", refund_id)
    assert stored == str(effect["transaction_id"])
    quiet.clock.advance(AN_HOUR)
    compared = (await compare(ctx))["cloudpayments"]
    assert compared is not None
    assert {result.value: count for result, count in compared.items() if count} == {"match": 2}
