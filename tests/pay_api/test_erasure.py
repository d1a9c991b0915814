"""PayAPI forgets who a customer was: cards and contacts go, payments stay; never while money moves."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from pay_api.pay_service.context import Context
from shared.ids import new_id
from tests.pay_api.conftest import OK_3DS, Pay, event_types

EMAIL = "viewer@example.com"


async def saved(pay: Pay) -> tuple[str, str, str]:
    """(user, payment, method) of a customer with a saved card."""
    body = pay.body()
    body["method"]["save_method"] = True
    body["method"]["cardholder_name"] = "CANARY HOLDER"
    view = (await pay.start(body)).json()
    assert view["status"] == "succeeded", view
    methods = (await pay.get(f"/v1/customers/{body['user_id']}/payment-methods")).json()["items"]
    return body["user_id"], view["id"], methods[0]["id"]


async def erase(pay: Pay, user_id: str, key: str | None = None) -> Any:
    return await pay.post(f"/v1/customers/{user_id}/erasure", key=key)


async def test_cards_and_contacts_go_and_the_payment_stays(pay: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    user_id, payment_id, method_id = await saved(pay)
    before = await db.fetchrow("SELECT payer_encrypted FROM payment WHERE id = $1", UUID(payment_id))
    assert before is not None
    assert ctx.vault.open_payer(before["payer_encrypted"]).email == EMAIL
    done = await erase(pay, user_id)
    assert done.status_code == 200, done.text
    row = await db.fetchrow("SELECT * FROM payment WHERE id = $1", UUID(payment_id))
    assert row is not None
    payer = ctx.vault.open_payer(row["payer_encrypted"])
    assert (payer.email, payer.ip, payer.cardholder_name) == (None, None, None)
    assert (row["return_url"], row["card_mask"]) == (None, None)
    assert (row["status"], row["captured_minor"]) == ("succeeded", 49_900)
    method = await db.fetchrow("SELECT * FROM payment_method WHERE id = $1", UUID(method_id))
    assert method is not None
    assert (method["status"], method["card_mask"]) == ("detached", "")
    assert ctx.vault.open(method["token_encrypted"]) == ""
    assert await event_types(db, method_id) == ["payment_method.saved", "payment_method.detached"]
    assert (await pay.get(f"/v1/customers/{user_id}/payment-methods")).json()["items"] == []
    again = await erase(pay, user_id)
    assert again.json() == done.json()
    # Money can still go back: a refund needs no contacts.
    refund = {"refund_order_id": str(new_id()), "amount": {"amount": 100, "currency": "RUB"}, "reason": "r"}
    given = await pay.post(f"/v1/payments/{payment_id}/refunds", refund, refund["refund_order_id"])
    assert given.status_code == 201, given.text


async def test_is_refused_while_a_payment_waits(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay(OK_3DS, "action_required")
    refused = await erase(pay, view["user_id"])
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/payment-in-progress")
    assert int(refused.headers["retry-after"]) > 0
    assert (
        await db.fetchval("SELECT 1 FROM erased_customer WHERE user_id = $1", UUID(view["user_id"])) is None
    )
    await pay.post(f"/v1/invoices/{view['invoice_id']}/close")
    assert (await erase(pay, view["user_id"])).status_code == 200


@pytest.mark.parametrize("status", ["processing", "unknown"])
async def test_is_refused_while_a_refund_has_no_outcome(pay: Pay, db: asyncpg.Pool, status: str) -> None:
    user_id, payment_id, _ = await saved(pay)
    refund = {"refund_order_id": str(new_id()), "amount": {"amount": 100, "currency": "RUB"}, "reason": "r"}
    await pay.post(f"/v1/payments/{payment_id}/refunds", refund, refund["refund_order_id"])
    change = "UPDATE payment_refund SET status = $2 WHERE payment_id = $1"
    await db.execute(change, UUID(payment_id), status)
    assert (await erase(pay, user_id)).status_code == 409
    await db.execute(change, UUID(payment_id), "succeeded")
    assert (await erase(pay, user_id)).status_code == 200


async def test_a_card_told_of_too_late_is_not_saved(pay: Pay, db: asyncpg.Pool) -> None:
    """The customer is known as erased, whatever brought the payment about."""
    body = pay.body()
    body["method"]["save_method"] = True
    assert (await erase(pay, body["user_id"])).status_code == 200
    view = (await pay.start(body)).json()
    assert view["status"] == "succeeded"
    assert (await pay.get(f"/v1/customers/{body['user_id']}/payment-methods")).json()["items"] == []
