"""The daily comparison with the provider's register, and the adoption of what it alone has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from pay_api.pay_service.compare_daily import COUNTS, DailyComparison, Result, compare
from pay_api.pay_service.context import Context
from tests import servers
from tests.pay_api.conftest import House, Pay, event_types, history, reconcile_all

AN_HOUR = timedelta(hours=1)


@pytest.fixture
async def quiet(pay: Pay, ctx: Context) -> Pay:
    """Nothing of earlier tests, nor what they left to be done, stands within the span that is compared."""
    pay.clock.advance(timedelta(days=5))
    await reconcile_all(ctx)
    pay.clock.advance(timedelta(days=5))
    return pay


async def counts(ctx: Context) -> dict[str, int]:
    found = (await compare(ctx))["cloudpayments"]
    assert found is not None
    for result in Result:
        assert COUNTS.labels("cloudpayments", result)._value.get() == found[result]
    return {result.value: found[result] for result in Result if found[result]}


@pytest.fixture
async def surgeon(house: House) -> AsyncIterator[asyncpg.Connection]:
    """The superuser, past every trigger: what a restored dump looks like."""
    name = urlsplit(house.dsn).path.removeprefix("/")
    connection = await asyncpg.connect(servers.postgres_server().url(name))
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


async def heard_of(surgeon: asyncpg.Connection, payment_id: str) -> None:
    """Waits for the payment's notification: applied later, it meets the rows that are being taken away."""
    applied = (
        "SELECT count(*) FROM webhook JOIN payment_attempt USING (transaction_id)"
        " WHERE payment_id = $1 AND applied_at IS NOT NULL"
    )
    for _ in range(200):
        if await surgeon.fetchval(applied, UUID(payment_id)):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the provider has not told of the payment")


async def forget(surgeon: asyncpg.Connection, payment_id: str, *, payment_too: bool = True) -> None:
    """What a database restored from an older dump no longer has."""
    await heard_of(surgeon, payment_id)
    async with surgeon.transaction():
        where = "WHERE payment_id = $1"
        await surgeon.execute(f"DELETE FROM payment_receipt {where}", UUID(payment_id))
        await surgeon.execute(f"DELETE FROM payment_refund {where}", UUID(payment_id))
        await surgeon.execute(f"DELETE FROM payment_attempt {where}", UUID(payment_id))
        if payment_too:
            await surgeon.execute(f"DELETE FROM payment_transition {where}", UUID(payment_id))
            await surgeon.execute("DELETE FROM payment WHERE id = $1", UUID(payment_id))
            for table in ("outbox", "aggregate_sequence"):
                await surgeon.execute(
                    f"DELETE FROM {table} WHERE aggregate_id::text = $1", str(UUID(payment_id))
                )


async def refund(pay: Pay, view: dict[str, Any], amount: int) -> None:
    order = {
        "refund_order_id": view["id"],
        "amount": {"amount": amount, "currency": "RUB"},
        "reason": "asked",
    }
    answer = await pay.post(f"/v1/payments/{view['id']}/refunds", order, view["id"])
    assert answer.status_code == 201, answer.text


async def test_everything_matches(quiet: Pay, ctx: Context) -> None:
    for _ in range(2):
        view = await quiet.pay()
    await refund(quiet, view, 100)
    await quiet.pay("4000056655665556", "failed")
    quiet.clock.advance(AN_HOUR)
    assert await counts(ctx) == {"match": 3}


async def test_a_young_operation_is_left_to_the_ladder(quiet: Pay, ctx: Context) -> None:
    await quiet.fault(kind="suppressed", webhook="pay")
    await quiet.fault(kind="timeout_after", method="payments/cards/charge", manner="close")
    view = await quiet.pay(expect="unknown")
    assert await counts(ctx) == {}
    assert (await quiet.show(view["id"]))["status"] == "unknown"


async def test_money_we_thought_gone_is_settled(quiet: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    await quiet.fault(kind="suppressed", webhook="pay")
    await quiet.fault(kind="timeout_after", method="payments/cards/charge", manner="close")
    view = await quiet.pay(expect="unknown")
    quiet.clock.advance(AN_HOUR)
    assert await counts(ctx) == {"provider_only": 1}
    assert (await quiet.show(view["id"]))["status"] == "succeeded"
    assert (await history(db, view["id"]))[-1] == ("succeeded", "register")
    assert await counts(ctx) == {"match": 1}


async def test_lost_payment_is_made_again(
    quiet: Pay, ctx: Context, db: asyncpg.Pool, surgeon: asyncpg.Connection
) -> None:
    view = await quiet.pay()
    await forget(surgeon, view["id"])
    assert (await quiet.get(f"/v1/payments/{view['id']}")).status_code == 404
    quiet.clock.advance(AN_HOUR)
    assert await counts(ctx) == {"provider_only": 1}
    again = await quiet.show(view["id"])
    same = ("id", "invoice_id", "user_id", "amount", "captured", "settles_invoice", "late")
    assert {name: again[name] for name in same} == {name: view[name] for name in same}
    assert again["status"] == "succeeded"
    assert await event_types(db, view["id"]) == ["payment.created", "payment.succeeded"]
    rival = await quiet.start(quiet.body(invoice_id=view["invoice_id"]))
    assert rival.json()["type"] == "/problems/payment-in-progress"
    assert await counts(ctx) == {"match": 1}
    assert await quiet.effects(view["user_id"]) == [("charged", 49_900)]


async def test_lost_attempt_of_a_known_payment(quiet: Pay, ctx: Context, surgeon: asyncpg.Connection) -> None:
    view = await quiet.pay()
    await forget(surgeon, view["id"], payment_too=False)
    async with surgeon.transaction():
        await surgeon.execute(
            "UPDATE payment SET status = 'failed', captured_minor = 0 WHERE id = $1", UUID(view["id"])
        )
    quiet.clock.advance(AN_HOUR)
    assert await counts(ctx) == {"provider_only": 1}
    shown = await quiet.show(view["id"])
    assert (shown["status"], shown["late"]) == ("succeeded", True)


async def test_refund_made_at_the_provider_and_never_told(quiet: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    view = await quiet.pay()
    row = await db.fetchrow("SELECT * FROM payment_attempt WHERE payment_id = $1", UUID(view["id"]))
    await quiet.fault(kind="suppressed", webhook="refund")
    auth = (quiet.house.settings.cloudpayments_public_id, "cinema-sandbox-secret")
    body = {"TransactionId": int(row["transaction_id"]), "Amount": 99}
    url = f"{quiet.house.sandbox_url}/payments/refund"
    assert (await quiet.http.post(url, json=body, auth=auth)).json()["Success"]
    quiet.clock.advance(AN_HOUR)
    assert await counts(ctx) == {"match": 1, "provider_only": 1}
    shown = await quiet.show(view["id"])
    assert (shown["status"], shown["refunded"]["amount"]) == ("partially_refunded", 9_900)
    assert await counts(ctx) == {"match": 2}


async def test_differing_amount_and_ours_only(quiet: Pay, ctx: Context, surgeon: asyncpg.Connection) -> None:
    first, second = await quiet.pay(), await quiet.pay()
    quiet.clock.advance(AN_HOUR)
    async with surgeon.transaction():
        await surgeon.execute("UPDATE payment SET captured_minor = 49800 WHERE id = $1", UUID(first["id"]))
        await surgeon.execute(
            "UPDATE payment_attempt SET transaction_id = '1' WHERE payment_id = $1", UUID(second["id"])
        )
    # The transaction of the second one is the provider's alone, and another than ours: never adopted.
    assert await counts(ctx) == {"amount_differs": 1, "ours_only": 1, "provider_only": 1}
    assert await counts(ctx) == {"amount_differs": 1, "ours_only": 1, "provider_only": 1}
    assert (await quiet.show(second["id"]))["captured"]["amount"] == 49_900


async def test_strangers_money_is_counted_and_left(quiet: Pay, ctx: Context) -> None:
    auth = (quiet.house.settings.cloudpayments_public_id, "cinema-sandbox-secret")
    body = {"Amount": 5, "IpAddress": "10.0.0.1", "CardCryptogramPacket": quiet.cryptogram()}
    url = f"{quiet.house.sandbox_url}/payments/cards/charge"
    await quiet.fault(kind="suppressed", webhook="pay")
    assert (await quiet.http.post(url, json=body, auth=auth)).json()["Success"]
    quiet.clock.advance(AN_HOUR)
    assert await counts(ctx) == {"provider_only": 1}
    assert await counts(ctx) == {"provider_only": 1}


async def test_it_runs_once_a_day_and_again_when_the_register_was_silent(quiet: Pay, ctx: Context) -> None:
    daily = DailyComparison()
    await quiet.fault(kind="http_500_before", method="v2/payments/list")
    midnight = quiet.clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    quiet.clock.set(midnight)
    assert await daily.run_if_due(ctx)  # unreadable
    quiet.clock.advance(timedelta(minutes=9, seconds=59))
    assert not await daily.run_if_due(ctx)
    quiet.clock.advance(timedelta(seconds=1))
    assert await daily.run_if_due(ctx)
    quiet.clock.set(midnight + timedelta(hours=23, minutes=59))
    assert not await daily.run_if_due(ctx)
    quiet.clock.set(midnight + timedelta(days=1))
    assert await daily.run_if_due(ctx)
