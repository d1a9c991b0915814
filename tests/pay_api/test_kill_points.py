"""kill -9 of a real process at every named place: the oracle says one charge, one refund, never two."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import redis

from pay_api.pay_service.context import Context
from pay_api.pay_service.reconcile import reconcile
from pay_api.worker import apply_waiting_webhooks
from shared.clock import OFFSET_KEY
from tests import servers
from tests.pay_api.conftest import TOKEN, House, Pay, event_types
from tests.pay_api.test_webhooks import attempt_of, fields, tell

LEASE = timedelta(seconds=90)  # the clock of the other process runs on while this one stands still


class Mortal:
    """PayAPI in a process of its own, on the suite's clock moved to where the tests' clock stands."""

    def __init__(self, house: House, redis_url: str) -> None:
        self.house, self.redis_url = house, redis_url
        settings = house.settings
        variables = os.environ | {
            "APP_ENV": "test",
            "LOG_LEVEL": "CRITICAL",
            "DATABASE_URL": house.dsn,
            "CLOCK_REDIS_URL": redis_url,
            "CLOUDPAYMENTS_API_URL": house.sandbox_url,
            "CLOUDPAYMENTS_PUBLIC_URL": house.sandbox_url,
            "TOKEN_ENCRYPTION_KEY": settings.token_encryption_key.get_secret_value(),
            "LINK_SIGNING_KEY": settings.link_signing_key.get_secret_value(),
            "ACCEPTED_CREDENTIALS": json.dumps({"user-api": [TOKEN]}),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.pay_api.mortal"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=variables,
            cwd=servers.ROOT,
        )

    def begin(self, role: str, place: str) -> int:
        offset = self.house.clock.now() - datetime.now(UTC)
        redis.Redis.from_url(self.redis_url).set(OFFSET_KEY, int(offset.total_seconds()))
        port = servers.free_port()
        assert self.process.stdin is not None
        self.process.stdin.write(f"{role} {port} {place}=kill\n")
        self.process.stdin.flush()
        return port

    async def end(self) -> int:
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            return int(await asyncio.to_thread(self.process.stdout.readline))

    async def killed(self, place: str, work: Callable[[str], Awaitable[Any]]) -> None:
        """Does the work against a server that dies at that place; the caller hears nothing."""
        url = f"http://127.0.0.1:{self.begin('serve', place)}"
        async with httpx.AsyncClient(trust_env=False) as probe, asyncio.timeout(30):
            while True:
                try:
                    await probe.get(f"{url}/healthz")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
        with pytest.raises(httpx.TransportError):
            await work(url)
        assert await self.end() == -signal.SIGKILL


@pytest.fixture(scope="module")
def mortal(house: House) -> Iterator[Mortal]:
    found = Mortal(house, servers.redis_database())
    yield found
    assert found.process.stdin is not None
    found.process.stdin.close()
    found.process.wait(10)


async def _post(pay: Pay, url: str, path: str, body: dict[str, Any], key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": key}
    return await pay.http.post(url + path, json=body, headers=headers)


async def _by_saved_card(pay: Pay) -> dict[str, Any]:
    body = pay.body()
    body["method"]["save_method"] = True
    method_id = (await pay.start(body)).json()["payment_method_id"]
    saved = {"kind": "saved_method", "payment_method_id": method_id}
    return pay.body(user_id=body["user_id"], amount=30_000, method=saved)


async def _wait_for_calm(pay: Pay, ctx: Context, payment_id: str) -> dict[str, Any]:
    for _ in range(8):
        await apply_waiting_webhooks(ctx)
        await reconcile(ctx)
        view = await pay.show(payment_id)
        if view["status"] not in ("processing", "unknown") and all(
            refund["status"] == "succeeded" for refund in view["refunds"]
        ):
            return view
        pay.clock.advance(timedelta(minutes=3))
    raise AssertionError(view)


@pytest.mark.parametrize(
    "place",
    [
        "pay.create.before_txA_commit",
        "pay.create.after_txA_commit",
        "pay.charge.after_bytes_sent",
        "pay.charge.after_response_before_txB",
        "pay.charge.in_txB",
        "pay.charge.after_txB_before_reply",
    ],
)
async def test_charge(pay: Pay, ctx: Context, db: asyncpg.Pool, mortal: Mortal, place: str) -> None:
    body = await _by_saved_card(pay)
    payment_id = body["payment_id"]
    await pay.fault(kind="suppressed", webhook="pay", count=2)  # no notification helps
    await mortal.killed(place, lambda url: _post(pay, url, "/v1/payments", body, payment_id))
    pay.clock.advance(LEASE)
    again = await pay.start(body)
    assert again.status_code == 201, again.text
    view = await _wait_for_calm(pay, ctx, payment_id)
    assert view["status"] == "succeeded"
    assert (await pay.effects(body["user_id"]))[1:] == [("charged", 30_000)]
    assert await _receipts(pay, body["user_id"]) == ["Income"] * 2  # the card was saved by a first one
    assert await event_types(db, payment_id) == ["payment.created", "payment.succeeded"]
    assert (await pay.start(body)).json()["id"] == payment_id


@pytest.mark.parametrize(
    "place", ["pay.webhook.after_inbox_before_apply", "pay.webhook.after_apply_before_reply"]
)
async def test_notification(pay: Pay, ctx: Context, db: asyncpg.Pool, mortal: Mortal, place: str) -> None:
    await pay.fault(kind="suppressed", webhook="pay")
    await pay.fault(kind="timeout_after", method="payments/cards/charge", manner="close")
    view = await pay.pay(expect="unknown")
    (effect,) = await pay.oracle(view["user_id"])
    values = fields(view, await attempt_of(db, view), TransactionId=str(effect["transaction_id"]))

    async def notify(url: str) -> None:
        there = Pay(pay.house, pay.http, pay.key)
        there.house = House(**{**vars(pay.house), "pay_url": url})
        await tell(there, "pay", values)

    await mortal.killed(place, notify)
    assert (await tell(pay, "pay", values)).json() == {"code": 0}  # the provider sends it again
    pay.clock.advance(LEASE)  # the dead one stored the notification by its own clock, which ran on
    await apply_waiting_webhooks(ctx)
    assert (await pay.show(view["id"]))["status"] == "succeeded"
    assert await event_types(db, view["id"]) == ["payment.created", "payment.succeeded"]
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]


async def test_reconciler(pay: Pay, ctx: Context, db: asyncpg.Pool, mortal: Mortal) -> None:
    await pay.fault(kind="suppressed", webhook="pay")
    await pay.fault(kind="timeout_after", method="payments/cards/charge", manner="close")
    view = await pay.pay(expect="unknown")
    pay.clock.advance(timedelta(minutes=10))
    await db.execute(
        "UPDATE payment_attempt SET next_query_at = NULL WHERE payment_id <> $1", UUID(view["id"])
    )
    mortal.begin("reconcile", "reconciler.after_query_before_commit")
    assert await mortal.end() == -signal.SIGKILL
    assert (await pay.show(view["id"]))["status"] == "unknown"
    assert (await _wait_for_calm(pay, ctx, view["id"]))["status"] == "succeeded"
    assert await event_types(db, view["id"]) == ["payment.created", "payment.succeeded"]
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]


async def _receipts(pay: Pay, account_id: str) -> list[str]:
    """What was ordered from the cash register: with the money, in the same call, so never twice."""
    answer = await pay.http.get(f"{pay.house.sandbox_url}/oracle", params={"account_id": account_id})
    return [receipt["type"] for receipt in answer.json()["receipts"]]


async def test_refund(pay: Pay, ctx: Context, db: asyncpg.Pool, mortal: Mortal) -> None:
    view = await pay.pay()
    order = {"refund_order_id": view["id"], "amount": view["amount"], "reason": "asked"}
    path = f"/v1/payments/{view['id']}/refunds"
    await pay.fault(kind="suppressed", webhook="refund")
    await mortal.killed(
        "refund.after_call_before_commit", lambda url: _post(pay, url, path, order, view["id"])
    )
    pay.clock.advance(LEASE)
    assert (await pay.post(path, order, view["id"])).status_code == 201
    assert (await _wait_for_calm(pay, ctx, view["id"]))["status"] == "refunded"
    assert await pay.effects(view["user_id"]) == [("charged", 49_900), ("refunded", 49_900)]
    assert await _receipts(pay, view["user_id"]) == ["Income", "IncomeReturn"]
