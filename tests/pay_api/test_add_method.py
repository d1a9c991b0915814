"""A card saved without a purchase: held, saved, given back; with 3-D Secure; declined."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from pay_api.pay_service.context import Context
from pay_api.pay_service.expire_payments import expire_payments
from shared.ids import new_id
from tests.pay_api.conftest import OK, OK_3DS, POOR, Pay, event_types, reconcile_all
from tests.pay_api.test_threeds import bank_answers, local


async def add(pay: Pay, pan: str = OK, **changes: Any) -> tuple[str, httpx.Response]:
    user_id = str(new_id())
    body = {
        "payment_id": str(new_id()),
        "card_cryptogram": pay.cryptogram(pan),
        "cardholder_name": "IVAN PETROV",
        "payer": {"email": "viewer@example.com", "ip": "203.0.113.7", "locale": "ru"},
        **changes,
    }
    path = f"/v1/customers/{user_id}/payment-methods"
    return user_id, await pay.post(path, body, body["payment_id"])


async def methods(pay: Pay, user_id: str) -> list[dict[str, Any]]:
    return (await pay.get(f"/v1/customers/{user_id}/payment-methods")).json()["items"]


async def test_held_saved_and_given_back(pay: Pay, db: asyncpg.Pool) -> None:
    user_id, answer = await add(pay)
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert (view["status"], view["purpose"], view["invoice_id"]) == (
        "cancelled",
        "method_verification",
        None,
    )
    assert view["amount"] == {"amount": 100, "currency": "RUB"}
    assert view["captured"]["amount"] == 0
    (method,) = await methods(pay, user_id)
    assert method["id"] == view["payment_method_id"]
    assert await event_types(db, method["id"]) == ["payment_method.saved"]
    assert await pay.effects(user_id) == [("held", 100), ("voided", 100)]
    charge = pay.body(user_id=user_id, method={"kind": "saved_method", "payment_method_id": method["id"]})
    assert (await pay.start(charge)).json()["status"] == "succeeded"


async def test_threeds_first(pay: Pay) -> None:
    user_id, answer = await add(pay, OK_3DS)
    view = answer.json()
    assert view["next_action"]["step"] == "3ds"
    assert await methods(pay, user_id) == []
    page = await pay.http.get(local(pay, view["next_action"]["url"]))
    term_url, fields = await bank_answers(pay, page.text)
    done = await pay.http.post(local(pay, term_url), data=fields)
    assert "Карта сохранена" in done.text
    assert (await pay.show(view["id"]))["status"] == "cancelled"
    assert len(await methods(pay, user_id)) == 1
    assert await pay.effects(user_id) == [("held", 100), ("voided", 100)]


async def test_declined_saves_nothing(pay: Pay) -> None:
    user_id, answer = await add(pay, POOR)
    assert answer.json()["status"] == "failed"
    assert answer.json()["decline"]["class"] == "soft"
    assert await methods(pay, user_id) == []


async def test_same_key_holds_once(pay: Pay) -> None:
    payment_id = str(new_id())
    _, first = await add(pay, payment_id=payment_id)
    assert first.status_code == 201
    stranger, other = await add(pay, payment_id=payment_id)
    assert other.status_code in (409, 422)
    assert await pay.effects(stranger) == []


async def test_a_hold_whose_release_was_not_heard_is_released_later(pay: Pay, ctx: Context) -> None:
    await pay.fault(kind="429", method="payments/void", count=3)
    user_id, answer = await add(pay)
    assert answer.json()["status"] == "authorized"
    pay.clock.advance(timedelta(minutes=11))
    await expire_payments(ctx)
    assert (await pay.show(answer.json()["id"]))["status"] == "cancelled"
    assert await pay.effects(user_id) == [("held", 100), ("voided", 100)]


async def test_holds_of_purchases_end_after_seven_days(pay: Pay, ctx: Context) -> None:
    view = await pay.pay(expect="authorized", capture="manual")
    pay.clock.advance(timedelta(days=6, hours=23))
    await expire_payments(ctx)
    assert (await pay.show(view["id"]))["status"] == "authorized"
    pay.clock.advance(timedelta(hours=2))
    await expire_payments(ctx)
    await reconcile_all(ctx)  # the provider gave it back by itself and refuses the void: asked, it says so
    shown = await pay.show(view["id"])
    assert shown["status"] == "cancelled"
    assert shown["captured"]["amount"] == 0
    again = pay.body(invoice_id=view["invoice_id"], user_id=view["user_id"])
    assert (await pay.start(again)).json()["status"] == "succeeded"


async def test_a_card_saved_again_names_the_payment_that_saved_it_last(pay: Pay, db: asyncpg.Pool) -> None:
    """UserAPI settles the consent given with that payment by it."""
    user_id, first = await add(pay)
    again = {
        "payment_id": str(new_id()),
        "card_cryptogram": pay.cryptogram(OK),
        "payer": {"locale": "ru"},
    }
    path = f"/v1/customers/{user_id}/payment-methods"
    second = await pay.post(path, again, again["payment_id"])
    (method,) = await methods(pay, user_id)
    assert [answer.json()["payment_method_id"] for answer in (first, second)] == [method["id"]] * 2
    told = await db.fetch(
        "SELECT envelope->'data'->>'saved_by_payment_id' AS payment_id FROM outbox"
        " WHERE event_type = 'payment_method.saved' AND aggregate_id = $1 ORDER BY aggregate_sequence",
        UUID(method["id"]),
    )
    assert [row["payment_id"] for row in told] == [first.json()["id"], again["payment_id"]]
