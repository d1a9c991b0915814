"""Cancelling, refunding, capturing and closing: whichever the state needs, never more than was taken."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from pay_api.pay_service import operate
from pay_api.pay_service.charge_queued import charge_queued
from pay_api.pay_service.context import Context
from pay_api.pay_service.expire_payments import expire_payments
from pay_api.providers.base import NotExecuted, Refused
from pay_api.providers.cloudpayments import CloudPayments
from shared.ids import new_id
from tests.pay_api.conftest import OK_3DS, POOR, Pay, event_types, reconcile_all
from tests.pay_api.test_webhooks import tell


def rub(amount: int) -> dict[str, object]:
    return {"amount": amount, "currency": "RUB"}


def order(amount: int) -> dict[str, object]:
    return {"refund_order_id": str(new_id()), "amount": rub(amount), "reason": "asked"}


def cancellation(**changes: object) -> dict[str, object]:
    return {"cancellation_id": str(new_id()), "reason": "changed my mind", **changes}


async def test_partial_refunds_add_up_and_never_exceed(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay()
    path = f"/v1/payments/{view['id']}/refunds"
    first = await pay.post(path, order(10_000))
    assert first.status_code == 201
    assert first.json()["status"] == "partially_refunded"
    await pay.post(path, order(20_000))
    over = await pay.post(path, order(19_901))
    assert over.status_code == 422
    assert over.json()["type"] == "/problems/amount-too-large"
    assert over.json()["refundable"] == rub(19_900)
    last = (await pay.post(path, order(19_900))).json()
    assert last["status"] == "refunded"
    assert last["refunded"] == rub(49_900)
    assert [refund["status"] for refund in last["refunds"]] == ["succeeded"] * 3
    assert await event_types(db, view["id"]) == [
        "payment.created",
        "payment.succeeded",
        "payment.refunded",
        "payment.refunded",
        "payment.refunded",
        "payment.cancelled",
    ]
    effects = await pay.effects(view["user_id"])
    assert effects[1:] == [("refunded", 10_000), ("refunded", 20_000), ("refunded", 19_900)]


async def test_same_refund_order_happens_once(pay: Pay) -> None:
    view = await pay.pay()
    body = order(5_000)
    path = f"/v1/payments/{view['id']}/refunds"
    answers = await asyncio.gather(*(pay.insist(path, body) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert await pay.effects(view["user_id"]) == [("charged", 49_900), ("refunded", 5_000)]
    other = await pay.post(path, {**body, "amount": rub(6_000)})
    assert other.json()["type"] == "/problems/refund-order-id-taken"


async def test_a_refund_the_provider_refuses_is_told_once_and_frees_its_amount(
    pay: Pay, db: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await pay.pay()
    body, path = order(5_000), f"/v1/payments/{view['id']}/refunds"

    async def refuses(*_: object) -> Refused:
        return Refused("not enough money on the merchant's account")

    with monkeypatch.context() as patch:
        patch.setattr(CloudPayments, "refund", refuses)
        for _ in range(2):
            answer = await pay.post(path, body)
            assert (answer.status_code, answer.json()["status"]) == (201, "succeeded")
            assert [one["status"] for one in answer.json()["refunds"]] == ["failed"]
    told = await events_of(db, view["id"])
    assert [one[0] for one in told] == ["payment.created", "payment.succeeded", "payment.succeeded"]
    (refund,) = told[-1][1]["refunds"]
    assert (refund["status"], refund["refund_order_id"]) == ("failed", body["refund_order_id"])
    assert told[-1][1]["refunded"] == rub(0)
    assert (await pay.post(path, order(49_900))).json()["status"] == "refunded"


async def events_of(db: asyncpg.Pool, payment_id: str) -> list[tuple[str, dict[str, Any]]]:
    rows = await db.fetch(
        "SELECT event_type, envelope->'data' AS data FROM outbox WHERE aggregate_id = $1"
        " ORDER BY aggregate_sequence",
        UUID(payment_id),
    )
    return [(row["event_type"], json.loads(row["data"])) for row in rows]


async def test_refund_storm_stays_within_the_captured(pay: Pay) -> None:
    view = await pay.pay(amount=10_000)
    path = f"/v1/payments/{view['id']}/refunds"
    answers = await asyncio.gather(*(pay.insist(path, order(1_000)) for _ in range(14)))
    statuses = sorted(answer.status_code for answer in answers)
    # 422: more than is left; 409: refunded whole by the time it came.
    assert statuses[:10] == [201] * 10
    assert set(statuses[10:]) <= {409, 422}
    assert (await pay.show(view["id"]))["status"] == "refunded"
    effects = await pay.effects(view["user_id"])
    assert sum(amount for effect, amount in effects if effect == "refunded") == 10_000


async def test_cancel_refunds_what_was_captured(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay()
    body = cancellation()
    answer = await pay.post(f"/v1/payments/{view['id']}/cancel", body)
    assert answer.status_code == 200
    assert answer.json()["status"] == "refunded"
    assert answer.json()["refunds"][0]["cancellation_id"] == body["cancellation_id"]
    again = await pay.post(f"/v1/payments/{view['id']}/cancel", body)
    assert again.status_code == 200
    other = await pay.post(f"/v1/payments/{view['id']}/cancel", cancellation())
    assert other.json()["type"] == "/problems/payment-not-cancellable"
    assert (await event_types(db, view["id"]))[2:] == ["payment.refunded", "payment.cancelled"]
    assert await pay.effects(view["user_id"]) == [("charged", 49_900), ("refunded", 49_900)]
    free = await pay.start(pay.body(invoice_id=view["invoice_id"], user_id=view["user_id"]))
    assert free.json()["status"] == "succeeded"


async def test_cancel_of_the_uncaptured_alone_leaves_captured_money_where_it_is(pay: Pay) -> None:
    """A consent is revoked while its charge goes through: a revocation gives no money back."""
    view = await pay.pay()
    body = cancellation() | {"uncaptured_only": True}
    answer = await pay.post(f"/v1/payments/{view['id']}/cancel", body)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/payment-not-cancellable")
    assert answer.json()["rule"] == "succeeded"
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]
    held = await pay.pay(expect="authorized", capture="manual")
    voided = await pay.post(f"/v1/payments/{held['id']}/cancel", body | cancellation())
    assert voided.json()["status"] == "cancelled"


async def test_cancel_voids_a_hold(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay(expect="authorized", capture="manual")
    answer = await pay.post(f"/v1/payments/{view['id']}/cancel", cancellation())
    assert answer.json()["status"] == "cancelled"
    assert answer.json()["captured"] == rub(0)
    assert (await event_types(db, view["id"]))[1:] == ["payment.authorized", "payment.cancelled"]
    assert await pay.effects(view["user_id"]) == [("held", 49_900), ("voided", 49_900)]


async def test_cancel_closes_a_challenge_and_a_queued_payment(pay: Pay, ctx: Context) -> None:
    challenge = await pay.pay(OK_3DS, "action_required")
    answer = await pay.post(f"/v1/payments/{challenge['id']}/cancel", cancellation())
    assert answer.json()["status"] == "cancelled"
    body = pay.body()
    body["method"]["save_method"] = True
    method_id = (await pay.start(body)).json()["payment_method_id"]
    saved = {"kind": "saved_method", "payment_method_id": method_id}
    queued = pay.body(user_id=body["user_id"], initiator="merchant", method=saved)
    await pay.start(queued)
    await pay.post(f"/v1/payments/{queued['payment_id']}/cancel", cancellation())
    while await charge_queued(ctx):
        pass
    assert (await pay.show(queued["payment_id"]))["status"] == "cancelled"
    assert await pay.effects(body["user_id"]) == [("charged", 49_900)]


async def test_failed_payment_is_not_cancellable_nor_refundable(pay: Pay) -> None:
    view = await pay.pay(POOR, "failed")
    cancel = await pay.post(f"/v1/payments/{view['id']}/cancel", cancellation())
    assert cancel.json()["type"] == "/problems/payment-not-cancellable"
    refund = await pay.post(f"/v1/payments/{view['id']}/refunds", order(1))
    assert refund.json()["type"] == "/problems/payment-not-refundable"
    capture = await pay.post(f"/v1/payments/{view['id']}/capture")
    assert capture.json()["type"] == "/problems/payment-not-authorized"
    missing = await pay.post(f"/v1/payments/{new_id()}/cancel", cancellation())
    assert missing.status_code == 404


async def test_capture_in_part(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay(expect="authorized", capture="manual")
    over = await pay.post(f"/v1/payments/{view['id']}/capture", {"amount": rub(50_000)})
    assert over.json()["type"] == "/problems/amount-too-large"
    answer = await pay.post(f"/v1/payments/{view['id']}/capture", {"amount": rub(30_000)})
    assert answer.json()["status"] == "succeeded"
    assert answer.json()["captured"] == rub(30_000)
    over = await pay.post(f"/v1/payments/{view['id']}/refunds", order(30_001))
    assert over.status_code == 422
    assert await pay.effects(view["user_id"]) == [("held", 49_900), ("captured", 30_000)]


async def test_close_answers_by_what_the_invoice_has(pay: Pay, db: asyncpg.Pool) -> None:
    paid = await pay.pay()
    answer = await pay.post(f"/v1/invoices/{paid['invoice_id']}/close")
    assert answer.json()["result"] == "paid"
    await pay.fault(kind="suppressed", webhook="pay")
    await pay.fault(kind="timeout_after", method="payments/cards/charge", manner="close")
    unknown = await pay.pay(expect="unknown")
    answer = await pay.post(f"/v1/invoices/{unknown['invoice_id']}/close")
    assert answer.json()["result"] == "in_flight"
    held = await pay.pay(expect="authorized", capture="manual")
    answer = await pay.post(f"/v1/invoices/{held['invoice_id']}/close")
    assert answer.json()["result"] == "closed"
    assert (await pay.effects(held["user_id"]))[-1] == ("voided", 49_900)
    untouched = str(new_id())
    assert (await pay.post(f"/v1/invoices/{untouched}/close")).json()["result"] == "closed"
    refused = await pay.start(pay.body(invoice_id=untouched))
    assert refused.json()["type"] == "/problems/invoice-closed"


async def test_close_against_a_charge_in_flight(pay: Pay, db: asyncpg.Pool) -> None:
    """Whatever the order: either the invoice is closed and nothing was charged, or it was not closed."""
    for _ in range(6):
        body = pay.body()
        charged, closed = await asyncio.gather(
            pay.start(body), pay.post(f"/v1/invoices/{body['invoice_id']}/close")
        )
        effects = await pay.effects(body["user_id"])
        if closed.json()["result"] == "closed":
            assert charged.status_code == 409
            assert effects == []
        else:
            assert charged.json()["status"] == "succeeded"
            assert effects == [("charged", 49_900)]


async def test_database_refuses_unlawful_steps_and_rewritten_history(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay(POOR, "failed")
    connection = await asyncpg.connect(pay.house.dsn)
    try:
        for statement in (
            "UPDATE payment SET status = 'created' WHERE id = $1",
            "UPDATE payment SET status = 'refunded', captured_minor = 1, refunded_minor = 1 WHERE id = $1",
            "UPDATE payment_transition SET reason = 'x' WHERE payment_id = $1",
            "DELETE FROM payment_transition WHERE payment_id = $1",
            "DELETE FROM payment WHERE id = $1",
        ):
            try:
                await connection.execute(statement, UUID(view["id"]))
            except (asyncpg.CheckViolationError, asyncpg.InsufficientPrivilegeError):
                continue
            raise AssertionError(f"allowed: {statement}")
    finally:
        await connection.close()


async def _refused(*_: object) -> Refused:
    return Refused("the hold is disputed")


async def _not_executed(*_: object) -> NotExecuted:
    return NotExecuted("ConnectError")


async def test_a_void_the_provider_refuses_is_told_and_left_to_a_person(
    pay: Pay, ctx: Context, db: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused, the hold is asked about; it stands, so the void is sent again; refused again: a person."""
    logged: list[tuple[str, str]] = []
    monkeypatch.setattr(operate.log, "error", lambda event, **values: logged.append((event, values["why"])))
    before = operate.REFUSED.labels("void")._value.get()
    view = await pay.pay(expect="authorized", capture="manual")
    with monkeypatch.context() as patch:
        patch.setattr(CloudPayments, "void", _refused)
        answer = await pay.post(f"/v1/payments/{view['id']}/cancel", cancellation())
        assert (answer.status_code, answer.json()["status"]) == (200, "authorized")
        assert logged == [("operation-refused", "the hold is disputed")]
        await reconcile_all(ctx)
        assert (await pay.show(view["id"]))["status"] == "authorized"  # not sent again at once
        pay.clock.advance(timedelta(minutes=11))
        await reconcile_all(ctx)
    assert operate.REFUSED.labels("void")._value.get() == before + 2
    assert (await pay.show(view["id"]))["status"] == "needs_review"
    row = await db.fetchrow("SELECT * FROM payment WHERE id::text = $1", view["id"])
    assert row["review_reason"] == "the hold is not given back: the hold is disputed"
    told = await events_of(db, view["id"])
    assert [one[0] for one in told][-1] == "payment.needs_review"
    assert await pay.effects(view["user_id"]) == [("held", 49_900)]
    # Nothing of it is stuck: the hold's end at the provider ends it here too.
    attempt = await db.fetchrow("SELECT * FROM payment_attempt WHERE payment_id::text = $1", view["id"])
    assert attempt["status"] == "authorized"
    gone = {"TransactionId": attempt["transaction_id"], "Amount": "499.00", "InvoiceId": str(attempt["id"])}
    assert (await tell(pay, "cancel", gone)).json() == {"code": 0}
    assert (await pay.show(view["id"]))["status"] == "cancelled"


@pytest.mark.parametrize(
    ("kind", "body", "status", "effect"),
    [("cancel", cancellation(), "cancelled", "voided"), ("capture", {}, "succeeded", "captured")],
)
async def test_what_was_not_executed_is_answered_503_and_the_same_key_does_it(
    pay: Pay, monkeypatch: pytest.MonkeyPatch, kind: str, body: dict[str, Any], status: str, effect: str
) -> None:
    view = await pay.pay(expect="authorized", capture="manual")
    path, key = f"/v1/payments/{view['id']}/{kind}", str(new_id())
    with monkeypatch.context() as patch:
        patch.setattr(CloudPayments, "void" if kind == "cancel" else "capture", _not_executed)
        answer = await pay.post(path, body, key)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/provider-unavailable")
    assert answer.headers["Retry-After"] == "30"
    assert (await pay.show(view["id"]))["status"] == "authorized"
    again = await pay.post(path, body, key)
    assert (again.status_code, again.json()["status"]) == (200, status)
    assert await pay.effects(view["user_id"]) == [("held", 49_900), (effect, 49_900)]


async def test_a_refund_that_was_not_executed_is_shown_so_and_sent_again_by_itself(
    pay: Pay, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await pay.pay()
    with monkeypatch.context() as patch:
        patch.setattr(CloudPayments, "refund", _not_executed)
        answer = await pay.post(f"/v1/payments/{view['id']}/refunds", order(5_000))
    assert [refund["status"] for refund in answer.json()["refunds"]] == ["unknown"]
    pay.clock.advance(timedelta(minutes=11))
    await reconcile_all(ctx)
    assert (await pay.show(view["id"]))["status"] == "partially_refunded"
    assert await pay.effects(view["user_id"]) == [("charged", 49_900), ("refunded", 5_000)]


async def test_a_void_that_was_refused_because_it_had_been_done_is_done(
    pay: Pay, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first answer was lost; the repeat is refused, and only the state itself tells."""
    view = await pay.pay(expect="authorized", capture="manual")
    await pay.fault(kind="suppressed", webhook="cancel")
    keep = CloudPayments.void

    async def done_and_refused(self: CloudPayments, *arguments: Any) -> Refused:
        await keep(self, *arguments)
        return Refused("voided already")

    with monkeypatch.context() as patch:
        patch.setattr(CloudPayments, "void", done_and_refused)
        await pay.post(f"/v1/payments/{view['id']}/cancel", cancellation())
    await reconcile_all(ctx)
    assert (await pay.show(view["id"]))["status"] == "cancelled"
    assert await pay.effects(view["user_id"]) == [("held", 49_900), ("voided", 49_900)]


async def test_a_refused_void_of_a_card_check_asks_nobody_and_is_tried_again(
    pay: Pay, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment_id, user_id = str(new_id()), str(new_id())
    payer = {"email": "viewer@example.com", "ip": "203.0.113.7", "locale": "ru"}
    body = {"payment_id": payment_id, "card_cryptogram": pay.cryptogram(), "payer": payer}
    with monkeypatch.context() as patch:
        patch.setattr(CloudPayments, "void", _refused)
        await pay.post(f"/v1/customers/{user_id}/payment-methods", body, payment_id)
        pay.clock.advance(timedelta(minutes=11))
        await reconcile_all(ctx)
    assert (await pay.show(payment_id))["status"] == "authorized"
    pay.clock.advance(timedelta(minutes=11))
    await expire_payments(ctx)
    assert (await pay.show(payment_id))["status"] == "cancelled"
