"""Outcomes that are not known: never guessed, asked about, exactly one charge at the oracle."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from pay_api.pay_service import reconcile_money_back
from pay_api.pay_service.charge_queued import charge_queued
from pay_api.pay_service.context import Context
from pay_api.pay_service.reconcile import reconcile
from pay_api.providers.base import Charge, ChargeOutcome, Provider, Unknown
from pay_api.worker import GIVEN_UP
from shared.ids import new_id
from tests.pay_api.conftest import TOKEN, Pay, event_types, history, lost_renewal


@pytest.mark.parametrize("kind", ["timeout_after", "http_500_after", "truncated_json", "unknown_status"])
async def test_effect_without_answer_is_reconciled(
    pay: Pay, ctx: Context, db: asyncpg.Pool, kind: str
) -> None:
    await pay.fault(kind="suppressed", webhook="pay")
    await pay.fault(kind=kind, method="payments/cards/charge", manner="close")
    view = await pay.pay(expect="unknown")
    assert await event_types(db, view["id"]) == ["payment.created"]
    rival = await pay.start(pay.body(invoice_id=view["invoice_id"], user_id=view["user_id"]))
    assert rival.json()["type"] == "/problems/payment-in-progress"
    refused = await pay.post(
        f"/v1/payments/{view['id']}/cancel", {"cancellation_id": view["id"], "reason": "asked"}
    )
    assert refused.status_code == 409
    await reconcile(ctx)
    assert (await pay.show(view["id"]))["status"] == "unknown"  # the first rung is 20 s away
    pay.clock.advance(timedelta(seconds=21))
    await reconcile(ctx)
    assert (await pay.show(view["id"]))["status"] == "succeeded"
    assert await event_types(db, view["id"]) == ["payment.created", "payment.succeeded"]
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]


async def test_webhook_settles_what_the_answer_did_not(pay: Pay, db: asyncpg.Pool) -> None:
    await pay.fault(kind="timeout_after", method="payments/cards/charge", manner="close")
    body = pay.body()
    await pay.start(body)
    await pay.until(body["payment_id"], "succeeded")
    assert (await history(db, body["payment_id"]))[-1][1] == "cloudpayments:paid"
    assert await event_types(db, body["payment_id"]) == ["payment.created", "payment.succeeded"]


async def test_card_that_never_arrived_fails_after_two_misses(pay: Pay, ctx: Context) -> None:
    await pay.fault(kind="timeout_before", method="payments/cards/charge", manner="close")
    view = await pay.pay(expect="unknown")
    for minutes in (1, 4, 4):
        pay.clock.advance(timedelta(minutes=minutes))
        await reconcile(ctx)
        assert (await pay.show(view["id"]))["status"] == "unknown"
    for _ in range(3):
        pay.clock.advance(timedelta(minutes=3))
        await reconcile(ctx)
    shown = await pay.show(view["id"])
    assert shown["status"] == "failed"
    assert shown["decline"]["code"] == "no-effect"
    assert await pay.effects(view["user_id"]) == []


async def test_saved_card_that_never_arrived_is_sent_again_under_the_same_id(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    user_id, _, payment_id = await lost_renewal(pay, ctx)
    pay.clock.advance(timedelta(minutes=5))
    await reconcile(ctx)
    assert (await pay.effects(user_id)) == [("charged", 49_900)]  # too early to send again
    for _ in range(3):
        pay.clock.advance(timedelta(minutes=3))
        await reconcile(ctx)
    assert (await pay.show(payment_id))["status"] == "succeeded"
    assert len(await pay.effects(user_id)) == 2
    attempts = await db.fetch("SELECT id FROM payment_attempt WHERE payment_id = $1", UUID(payment_id))
    assert [entry["request_id"] for entry in await pay.oracle(user_id)][1:] == [
        str(row["id"]) for row in attempts
    ]


async def _detach(pay: Pay, user_id: str, method_id: str) -> int:
    url = f"{pay.house.pay_url}/v1/customers/{user_id}/payment-methods/{method_id}"
    return (await pay.http.delete(url, headers={"Authorization": f"Bearer {TOKEN}"})).status_code


@pytest.mark.parametrize("end", ["answered", "timed out again", "killed"])
async def test_card_is_not_detached_between_the_decision_to_send_again_and_the_call(
    pay: Pay, ctx: Context, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    user_id, method_id, payment_id = await lost_renewal(pay, ctx)
    provider = ctx.providers["cloudpayments"]
    send = type(provider).charge
    detached: list[int] = []

    async def detach_then_send(self: Provider, charge: Charge) -> ChargeOutcome:
        detached.append(await _detach(pay, user_id, method_id))
        if end == "killed":
            raise ConnectionAbortedError
        return await send(self, charge) if end == "answered" else Unknown("no answer again")

    monkeypatch.setattr(type(provider), "charge", detach_then_send)
    for _ in range(3):
        if not detached:
            pay.clock.advance(timedelta(minutes=3))
            await reconcile(ctx)
    assert detached == [409]
    monkeypatch.setattr(type(provider), "charge", send)
    if end == "killed":
        assert await _detach(pay, user_id, method_id) == 409  # it cannot be told from a call under way
        await pay.fault(kind="http_500_after", method="payments/find")
        pay.clock.advance(timedelta(minutes=4))
        await reconcile(ctx)
    assert await _detach(pay, user_id, method_id) == 204
    charged = [("charged", 49_900)] * (2 if end == "answered" else 1)
    for _ in range(10):
        pay.clock.advance(timedelta(minutes=5))
        await reconcile(ctx)
    assert await pay.effects(user_id) == charged
    assert (await pay.show(payment_id))["status"] == ("succeeded" if end == "answered" else "failed")


async def test_charge_is_never_sent_again_after_fifty_minutes(pay: Pay, ctx: Context) -> None:
    body = pay.body()
    body["method"]["save_method"] = True
    method_id = (await pay.start(body)).json()["payment_method_id"]
    saved = {"kind": "saved_method", "payment_method_id": method_id}
    renewal = pay.body(user_id=body["user_id"], initiator="merchant", method=saved)
    await pay.start(renewal)
    await pay.fault(kind="timeout_before", method="payments/tokens/charge", manner="close")
    while await charge_queued(ctx):
        pass
    pay.clock.advance(timedelta(minutes=51))
    for _ in range(3):
        await reconcile(ctx)
        pay.clock.advance(timedelta(minutes=10))
    shown = await pay.show(renewal["payment_id"])
    assert shown["status"] == "failed"
    assert await pay.effects(body["user_id"]) == [("charged", 49_900)]


async def test_silence_for_a_day_needs_a_person(pay: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    await pay.fault(kind="suppressed", webhook="pay")
    await pay.fault(kind="timeout_after", method="payments/cards/charge", manner="close")
    view = await pay.pay(expect="unknown")
    await pay.fault(kind="http_500_before", method="payments/find", count=2)
    pay.clock.advance(timedelta(hours=1))
    await reconcile(ctx)
    assert (await pay.show(view["id"]))["status"] == "unknown"
    pay.clock.advance(timedelta(hours=24))
    await reconcile(ctx)
    assert (await pay.show(view["id"]))["status"] == "needs_review"
    assert (await event_types(db, view["id"]))[-1] == "payment.needs_review"


async def test_refund_without_answer_is_found_in_the_register(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    view = await pay.pay()
    await pay.fault(kind="suppressed", webhook="refund")
    await pay.fault(kind="timeout_after", method="payments/refund", manner="close")
    order = {"refund_order_id": view["id"], "amount": view["amount"], "reason": "asked"}
    answer = (await pay.post(f"/v1/payments/{view['id']}/refunds", order)).json()
    assert answer["status"] == "succeeded"
    assert answer["refunds"][0]["status"] == "unknown"
    pay.clock.advance(timedelta(seconds=21))
    await reconcile(ctx)
    assert (await pay.show(view["id"]))["status"] == "refunded"
    assert await pay.effects(view["user_id"]) == [("charged", 49_900), ("refunded", 49_900)]
    assert (await event_types(db, view["id"]))[2:] == ["payment.refunded", "payment.cancelled"]


async def test_refund_that_never_arrived_is_sent_again_once(pay: Pay, ctx: Context) -> None:
    view = await pay.pay()
    await pay.fault(kind="timeout_before", method="payments/refund", manner="close")
    order = {"refund_order_id": view["id"], "amount": view["amount"], "reason": "asked"}
    await pay.post(f"/v1/payments/{view['id']}/refunds", order)
    for _ in range(4):
        pay.clock.advance(timedelta(minutes=4))
        await reconcile(ctx)
    assert (await pay.show(view["id"]))["status"] == "refunded"
    assert await pay.effects(view["user_id"]) == [("charged", 49_900), ("refunded", 49_900)]


async def _given_up(db: asyncpg.Pool, payment_id: str) -> int:
    """What the gauge counts, of this payment alone."""
    rows = await db.fetch(GIVEN_UP.sql.replace("WHERE", f"WHERE payment_id = '{payment_id}' AND"))
    return sum(row["count"] for row in rows)


async def _last_refund(db: asyncpg.Pool, payment_id: str) -> dict[str, Any]:
    """The newest one, as the payment's last event tells of it."""
    data = await db.fetchval(
        "SELECT envelope -> 'data' FROM outbox WHERE aggregate_id::text = $1"
        " ORDER BY aggregate_sequence DESC LIMIT 1",
        payment_id,
    )
    refund: dict[str, Any] = json.loads(data)["refunds"][-1]
    return refund


@pytest.mark.parametrize("finding", ["sent", "not_sent"])
async def test_refund_of_no_known_outcome_is_given_up_after_a_day(
    pay: Pay, ctx: Context, db: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, finding: str
) -> None:
    """Then a person says what became of it: sent some other way, or not sent, and ordered anew."""
    logged: list[tuple[str, str]] = []  # other tests of this run may have left refunds of their own
    monkeypatch.setattr(
        reconcile_money_back.log,
        "error",
        lambda event, **values: logged.append((event, values["payment_id"])),
    )
    view = await pay.pay()
    await pay.fault(kind="timeout_before", method="payments/refund", manner="close")
    order = {"refund_order_id": view["id"], "amount": view["amount"], "reason": "asked"}
    await pay.post(f"/v1/payments/{view['id']}/refunds", order)
    pay.clock.advance(timedelta(hours=25))
    for _ in range(30):
        await reconcile(ctx)
        pay.clock.advance(timedelta(hours=1))
    shown = await pay.show(view["id"])
    assert (shown["status"], shown["refunds"][0]["status"]) == ("succeeded", "unknown")
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]  # never sent again
    assert [event for event, payment in logged if payment == view["id"]] == ["money-back-needs-review"]
    assert await _given_up(db, view["id"]) == 1
    assert shown["refunds"][0]["waits_for_person"] is True
    # Told once, so that BillingAPI shows it to people.
    assert await event_types(db, view["id"]) == ["payment.created", *["payment.succeeded"] * 2]
    assert (await _last_refund(db, view["id"]))["waits_for_person"] is True
    path = f"/internal/v1/payments/{view['id']}/refund-confirmations"
    refund_id = shown["refunds"][0]["id"]
    if finding == "sent":
        word = {"refund_id": refund_id, "reason": "statement 12", "actor": "olga"}
        answer = await pay.post(path, word)
        assert (answer.status_code, answer.json()["status"]) == (201, "refunded")
        assert await pay.effects(view["user_id"]) == [("charged", 49_900)]
    else:
        word = {"refund_id": refund_id, "finding": finding, "reason": "not there", "actor": "olga"}
        for _ in range(2):
            answer = await pay.post(path, word)
            assert (answer.status_code, answer.json()["status"]) == (201, "succeeded")
        assert (await _last_refund(db, view["id"]))["status"] == "failed"
        assert len(await event_types(db, view["id"])) == 4
        opposite = await pay.post(path, word | {"finding": "sent"})
        assert (opposite.status_code, opposite.json()["type"]) == (409, "/problems/refund-not-awaited")
        said = await db.fetchval("SELECT staff_word FROM payment_refund WHERE id::text = $1", refund_id)
        assert said == "staff:olga: not sent: not there"
        again = order | {"refund_order_id": str(new_id())}
        reordered = await pay.post(f"/v1/payments/{view['id']}/refunds", again)
        assert reordered.json()["status"] == "refunded"
        assert await pay.effects(view["user_id"]) == [("charged", 49_900), ("refunded", 49_900)]
    assert await _given_up(db, view["id"]) == 0


async def test_void_whose_hold_stands_after_a_day_is_over_and_may_be_asked_for_anew(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    view = await pay.pay(expect="authorized", capture="manual")
    await pay.fault(kind="timeout_before", method="payments/void", manner="close")
    await pay.post(f"/v1/payments/{view['id']}/cancel", {"cancellation_id": view["id"], "reason": "asked"})
    pay.clock.advance(timedelta(hours=25))
    await reconcile(ctx)
    assert (await pay.show(view["id"]))["status"] == "authorized"
    assert await pay.effects(view["user_id"]) == [("held", 49_900)]
    assert await _given_up(db, view["id"]) == 0
    again = {"cancellation_id": str(new_id()), "reason": "asked again"}
    assert (await pay.post(f"/v1/payments/{view['id']}/cancel", again)).json()["status"] == "cancelled"


async def test_void_without_answer_is_found_out(pay: Pay, ctx: Context) -> None:
    view = await pay.pay(expect="authorized", capture="manual")
    await pay.fault(kind="suppressed", webhook="cancel")
    await pay.fault(kind="timeout_after", method="payments/void", manner="close")
    cancel = {"cancellation_id": view["id"], "reason": "asked"}
    answer = await pay.post(f"/v1/payments/{view['id']}/cancel", cancel)
    assert answer.json()["status"] == "authorized"
    busy = await pay.post(f"/v1/payments/{view['id']}/capture", {})
    assert busy.json()["type"] == "/problems/payment-in-progress"
    pay.clock.advance(timedelta(seconds=21))
    await reconcile(ctx)
    assert (await pay.show(view["id"]))["status"] == "cancelled"
    assert await pay.effects(view["user_id"]) == [("held", 49_900), ("voided", 49_900)]


async def test_void_nobody_can_say_anything_of_needs_a_person_after_a_day(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    """Not even whether the hold stands: the payment is put before people, whose word ends the void too."""
    view = await pay.pay(expect="authorized", capture="manual")
    await pay.fault(kind="timeout_before", method="payments/void", manner="close")
    await pay.fault(kind="http_500_before", method="payments/get", count=200)
    await pay.fault(kind="http_500_before", method="v2/payments/find", count=200)
    await pay.post(f"/v1/payments/{view['id']}/cancel", {"cancellation_id": view["id"], "reason": "asked"})
    pay.clock.advance(timedelta(hours=25))
    await reconcile(ctx)
    shown = await pay.show(view["id"])
    assert (shown["status"], shown["review_reason"]) == ("needs_review", "no verdict of a void after a day")
    assert await _given_up(db, view["id"]) == 1
    word = {"finding": "voided", "reason": "the cabinet shows it cancelled", "actor": "olga"}
    answer = await pay.post(f"/internal/v1/payments/{view['id']}/review-settlements", word)
    assert (answer.status_code, answer.json()["status"]) == (201, "cancelled")
    assert answer.json()["review_reason"] is None
    assert await _given_up(db, view["id"]) == 0
    ended = await db.fetchval("SELECT status FROM payment_operation WHERE payment_id::text = $1", view["id"])
    assert ended == "succeeded"
