"""One wait budget per request: however slow everything is, the caller hears before it gives up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import asyncpg
import httpx
import pytest

from pay_api import timeouts
from pay_api.main import create_app
from pay_api.pay_service.context import Context, open_context
from pay_api.pay_service.expire_payments import expire_payments
from pay_api.worker import apply_waiting_webhooks
from shared import wait_budget
from shared.ids import new_id
from tests.pay_api.conftest import (
    House,
    Pay,
    ThreadedServer,
    at_home,
    event_types,
    free_port,
    reconcile_all,
)
from user_api.clients import pay_api as users_pay

# The table of time-outs on a smaller scale: a request of 2 s, four of which the pool alone could eat.
SCALED: Final = {
    "REQUEST": 2.0,
    "PROVIDER_CALL": 1.7,
    "PROVIDER_LEAST": 0.3,
    "SETTLING": 0.3,
    "DATABASE_POOL": 0.7,
}
SLACK_SECONDS: Final = 0.5
CALLERS: Final = 6


def test_waits_share_what_is_left() -> None:
    assert wait_budget.left(2.0) == 2.0
    with wait_budget.within(1.0):
        assert 0.9 < wait_budget.left(2.0) <= 1.0
        assert wait_budget.left(0.5) == 0.5
        assert 0.6 < wait_budget.left(2.0, keep_seconds=0.3) <= 0.7
        with wait_budget.within(60.0):  # an inner budget never gives more
            assert wait_budget.left(2.0) <= 1.0
        time.sleep(0.02)
        assert wait_budget.left(2.0, keep_seconds=0.99) == 0.0
    assert wait_budget.left(2.0) == 2.0


@contextmanager
def narrow_house(house: House) -> Iterator[House]:
    """Another PayAPI at the same database and provider, with one connection a pool."""
    context = open_context(house.settings, house.clock, pool_size=1)
    server = ThreadedServer(create_app(house.settings, context), free_port())
    server.start()
    try:
        yield House(house.settings, house.clock, server.url, house.sandbox_url, house.dsn, house.owner_dsn)
    finally:
        server.stop()


@pytest.fixture
async def narrow(house: House, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pay]:
    for name, seconds in SCALED.items():
        monkeypatch.setattr(timeouts, name, seconds)
    with narrow_house(house) as opened:
        async with at_home(opened) as client:
            yield client


async def timed(call: Any) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    return await call, time.monotonic() - began


def heard_in_time(seconds: float) -> bool:
    return seconds < timeouts.REQUEST + timeouts.UNDOING + SLACK_SECONDS


async def test_a_silent_provider_is_left_in_time(narrow: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    await narrow.fault(kind="suppressed", webhook="pay")
    await narrow.fault(kind="timeout_after", method="payments/cards/charge", seconds=10)
    body = narrow.body()
    answer, seconds = await timed(narrow.start(body))
    assert (answer.status_code, answer.json()["status"]) == (201, "unknown")
    assert seconds < timeouts.REQUEST
    narrow.clock.advance(timedelta(seconds=21))
    await reconcile_all(ctx)
    assert (await narrow.show(body["payment_id"]))["status"] == "succeeded"
    assert await narrow.effects(body["user_id"]) == [("charged", 49_900)]


async def test_a_small_pool_a_stuck_table_and_a_slow_provider(
    narrow: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    """The verdicts cannot be written while their callers wait: all hear 503 in time, and nothing is lost."""
    await narrow.fault(kind="delay", method="payments/cards/charge", seconds=0.7, count=CALLERS)
    bodies = [narrow.body() for _ in range(CALLERS)]
    async with db.acquire() as blocker:
        calls = [asyncio.create_task(timed(narrow.start(body))) for body in bodies]
        await asyncio.sleep(0.35)  # every one is at the provider now
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE payment IN ACCESS EXCLUSIVE MODE")
            heard = await asyncio.gather(*calls)
    for answer, seconds in heard:
        assert heard_in_time(seconds), seconds
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/database-busy")
        assert answer.headers["Retry-After"] == "1"
    narrow.clock.advance(timedelta(seconds=31))  # leases of keys that could not be freed, and the first rung
    await apply_waiting_webhooks(ctx)
    await reconcile_all(ctx)
    for body in bodies:
        again = await narrow.start(body)
        assert (again.status_code, again.json()["status"]) == (201, "succeeded"), again.text
        assert await narrow.effects(body["user_id"]) == [("charged", 49_900)]
        assert await event_types(db, body["payment_id"]) == ["payment.created", "payment.succeeded"]


async def test_no_connection_at_all_is_said_at_once(narrow: Pay, db: asyncpg.Pool) -> None:
    """Waits for a connection add up to no more than the request's time, and nothing goes to the provider."""
    bodies = [narrow.body() for _ in range(CALLERS)]
    async with db.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE idempotency_key IN ACCESS EXCLUSIVE MODE")
        heard = await asyncio.gather(*(timed(narrow.start(body)) for body in bodies))
    for answer, seconds in heard:
        assert heard_in_time(seconds), seconds
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/database-busy")
    for body in bodies:
        assert await narrow.effects(body["user_id"]) == []
        assert (await narrow.start(body)).json()["status"] == "succeeded"


async def test_two_calls_of_one_request_share_its_time(narrow: Pay, ctx: Context) -> None:
    """A card check charges and gives back: both at a slow provider would be twice the caller's patience."""
    await narrow.fault(kind="delay", method="payments/cards/auth", seconds=0.6)
    await narrow.fault(kind="timeout_before", method="payments/void", seconds=10)
    payment_id, user_id = str(new_id()), str(new_id())
    body = {
        "payment_id": payment_id,
        "card_cryptogram": narrow.cryptogram(),
        "payer": {"email": "viewer@example.com", "ip": "203.0.113.7", "locale": "ru"},
    }
    path = f"/v1/customers/{user_id}/payment-methods"
    answer, seconds = await timed(narrow.post(path, body, payment_id))
    assert (answer.status_code, answer.json()["status"]) == (201, "authorized")
    assert seconds < timeouts.REQUEST
    for minutes in (1, 6, 6, 6):
        narrow.clock.advance(timedelta(minutes=minutes))
        await expire_payments(ctx)
        await reconcile_all(ctx)
    assert (await narrow.show(payment_id))["status"] == "cancelled"
    assert await narrow.effects(user_id) == [("held", 100), ("voided", 100)]


@pytest.mark.long
async def test_the_real_table_keeps_user_apis_patience(house: House) -> None:
    with narrow_house(house) as opened:
        async with at_home(opened) as pay:
            await pay.fault(kind="suppressed", webhook="pay", count=CALLERS)
            await pay.fault(kind="timeout_after", method="payments/cards/charge", seconds=60, count=CALLERS)
            heard = await asyncio.gather(*(timed(pay.start(pay.body())) for _ in range(CALLERS)))
    for answer, seconds in heard:
        assert answer.json()["status"] == "unknown"
        assert timeouts.PROVIDER_CALL - 1 < seconds < users_pay.TIMEOUT_SECONDS
