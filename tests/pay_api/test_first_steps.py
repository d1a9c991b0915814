"""New payments are written by few statements: the same rows as by the general way, and nothing by halves."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from pay_api.pay_service import start_payment, write_verdict
from pay_api.pay_service.context import Context
from pay_api.pay_service.first_steps import FirstSteps
from pay_api.pay_service.payment import AttemptStatus
from pay_api.pay_service.start_payment import StartPayment
from pay_api.providers.base import MethodKind, ReceiptLine
from pay_api.rows import ATTEMPTS, PAYMENTS, invoice_is_new
from pay_api.vault import Payer
from shared.ids import new_id
from shared.money import Money
from shared.queue.messages.payments import PaymentStatus
from tests.pay_api.conftest import OK, OK_3DS, POOR, Pay, event_types

OWN = {
    "id", "payment_id", "invoice_id", "user_id", "transaction_id", "payer_encrypted", "request_hash", "key",
    "created_at", "updated_at", "succeeded_at", "first_sent_at", "last_sent_at", "next_query_at", "ended_at",
    "expires_at", "at", "completed_at", "written_at", "event_id", "aggregate_id", "published_at", "pa_req",
}  # fmt: skip
TABLES = {
    "payment": "id = $1",
    "payment_attempt": "payment_id = $1",
    "payment_transition": "payment_id = $1 ORDER BY id",
    "outbox": "aggregate_id = $1 ORDER BY aggregate_sequence",
    "idempotency_key": "key = $1::text",
}


async def rows_of(db: asyncpg.Pool, payment_id: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of a payment; of what is its own, whether it is there at all."""
    found = {}
    for table, condition in TABLES.items():
        id_ = payment_id if table == "idempotency_key" else UUID(payment_id)
        rows = await db.fetch(f"SELECT * FROM {table} WHERE {condition}", id_)
        found[table] = [
            {name: value is not None if name in OWN else value for name, value in row.items()} for row in rows
        ]
        for row in found[table]:
            row.pop("response_body", None)
            row.pop("envelope", None)
    return found


@pytest.mark.parametrize("pan", [OK, POOR, OK_3DS])
async def test_the_short_and_the_general_way_write_the_same(
    pay: Pay, db: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, pan: str
) -> None:
    async def never(*_: Any) -> None:
        return None

    for _ in range(2):  # a notification that overtakes the answer would be the one who tells the verdict
        await pay.fault(kind="late", webhook="fail" if pan == POOR else "pay", seconds=5)
    short = (await pay.start(pay.body(pan))).json()
    monkeypatch.setattr(start_payment, "_write_first_of_invoice", never)
    monkeypatch.setattr(start_payment, "write_first_verdict", never)
    general = (await pay.start(pay.body(pan))).json()
    assert short["status"] == general["status"]
    rows = await rows_of(db, short["id"])
    assert rows == await rows_of(db, general["id"])
    assert all(rows.values())
    assert rows["idempotency_key"][0]["response_status"] == 201


async def test_the_verdict_is_stored_with_the_answer(pay: Pay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the answer is written by a statement of its own."""

    async def fails(*_: Any) -> None:
        raise AssertionError("stored apart from its effect")

    monkeypatch.setattr("shared.idempotency.complete_on", fails)
    body = pay.body()
    first = await pay.start(body)
    again = await pay.start(body)
    assert first.json()["status"] == "succeeded"
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_a_webhook_that_overtakes_the_answer_wins(pay: Pay, db: asyncpg.Pool) -> None:
    await pay.fault(kind="early", webhook="pay")
    body = pay.body()
    first = await pay.start(body)
    assert first.json()["status"] == "succeeded"
    again = await pay.start(body)
    assert again.json() == first.json()
    assert await event_types(db, body["payment_id"]) == ["payment.created", "payment.succeeded"]
    actor = await db.fetchval(
        "SELECT actor FROM payment_transition WHERE payment_id = $1 AND to_status = 'succeeded'",
        UUID(body["payment_id"]),
    )
    assert actor == "cloudpayments:paid"


async def test_a_payments_id_under_a_new_invoice_writes_nothing(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay()
    other = pay.body(payment_id=view["id"])
    answer = await pay.start(other, key=str(new_id()))
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/payment-id-taken")
    made = "SELECT count(*) FROM payment_invoice WHERE invoice_id = $1"
    assert await db.fetchval(made, UUID(other["invoice_id"])) == 0
    assert await pay.effects(other["user_id"]) == []


def command() -> StartPayment:
    return StartPayment(
        payment_id=new_id(),
        invoice_id=new_id(),
        user_id=new_id(),
        amount=Money(49_900),
        description="Подписка",
        initiator="customer",
        capture="automatic",
        payer=Payer(None, None),
        locale="ru",
        receipt=(ReceiptLine("Подписка", 1, 49_900, 2000),),
        return_url=None,
        caller="test",
        method_kind=MethodKind.CARD_CRYPTOGRAM,
        card_cryptogram="x",
    )


async def test_a_guard_that_fails_lets_nothing_through(ctx: Context, db: asyncpg.Pool) -> None:
    """Two payments of one new invoice at once: the loser leaves no row of any kind."""
    one, other = command(), command()
    intents = [start_payment._intent_of(ctx, made, None) for made in (one, other)]
    assert one.invoice_id is not None
    guard = invoice_is_new(one.invoice_id, ctx.clock.now())

    async def write(intent: start_payment.Intent) -> bool:
        async with ctx.pool.connection() as connection:
            return await intent.steps.write_new(connection, intent.attempt, guard=guard)

    written = await asyncio.gather(*(write(intent) for intent in intents))
    assert sorted(written) == [False, True]
    lost = (one, other)[written.index(False)]
    rows = await rows_of(db, str(lost.payment_id))
    assert rows == {table: [] for table in TABLES}


async def test_a_verdict_on_an_older_version_writes_nothing(ctx: Context, db: asyncpg.Pool) -> None:
    made = command()
    intent = start_payment._intent_of(ctx, made, None)
    assert intent.attempt is not None
    async with ctx.pool.connection() as connection:
        assert await intent.steps.write_new(connection, intent.attempt)
        await db.execute("UPDATE payment SET version = version + 1 WHERE id = $1", made.payment_id)
        before = await rows_of(db, str(made.payment_id))
        steps = FirstSteps.of_known(intent.payment)
        intent.attempt.status = AttemptStatus.SUCCEEDED
        intent.payment.captured_minor = 49_900
        steps.take(PaymentStatus.SUCCEEDED, actor="test", reason="late", now=ctx.clock.now())
        assert not await steps.write_known(connection, intent.attempt)
    assert await rows_of(db, str(made.payment_id)) == before
    assert write_verdict.ACTOR == "provider-answer"


def test_every_column_of_an_outcome_exists() -> None:
    for rows in (PAYMENTS, ATTEMPTS):
        assert set(rows._outcome) < set(rows._columns)
