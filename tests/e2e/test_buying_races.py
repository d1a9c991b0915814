"""Tabs, double clicks and deaths in the middle of buying, through the real services: one sale, one charge."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deploy.local.stack import LocalStack
from tests.e2e.books import balance_the_books, command_in, days_pass
from tests.e2e.browser import Browser
from tests.e2e.shopper import CONSENT, OK, OK_OTHER, THREEDS, Shopper
from tests.e2e.stack import Stack
from tests.e2e.transcript import StoryBroken, Transcript
from tests.servers import ROOT, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(600)]
ROUNDS = 8 * int(os.environ.get("TEST_ROUNDS", "1"))
TABS = 10
LOST = {"payment-in-progress", "subscription-exists", "invoice-not-payable", "request-in-progress"}


def code(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).removeprefix("/problems/")


async def running(shopper: Shopper) -> list[dict[str, Any]]:
    """Subscriptions that are neither cancelled nor expired."""
    items = (await shopper.get("/v1/me/subscriptions"))["items"]
    return [one for one in items if one["status"] not in ("cancelled", "expired")]


async def test_r4_two_keys_in_many_tabs_are_one_subscription_and_one_charge(
    running_stack: LocalStack, stack: Stack
) -> None:
    shoppers = []
    seen: Counter[str] = Counter()
    for _ in range(ROUNDS):
        shopper = await Shopper.join(stack)
        shoppers.append(shopper)
        order, keys = await shopper.order(), [str(uuid4()), str(uuid4())]
        answers = await asyncio.gather(
            *(shopper.ask("POST", "/v1/me/subscriptions", order, keys[tab % 2]) for tab in range(TABS))
        )
        won = [answer for answer in answers if answer.status_code == 201]
        lost = [answer for answer in answers if answer.status_code != 201]
        assert won, [answer.text for answer in answers]
        assert len({answer.json()["payment"]["id"] for answer in won}) == 1
        assert {answer.status_code for answer in lost} <= {409}, [answer.text for answer in lost]
        assert {code(answer) for answer in lost} <= LOST, [answer.text for answer in lost]
        seen.update(["won"] * len(won), lost=len(lost))
        (held,) = await running(shopper)
        await shopper.until(f"/v1/me/subscriptions/{held['id']}", lambda found: found["status"] == "active")
        again = await asyncio.gather(
            *(shopper.ask("POST", "/v1/me/subscriptions", order, key) for key in keys)
        )
        assert sorted(answer.status_code for answer in again) in ([201, 201], [201, 409])
        assert await shopper.effects() == {"charged": 1}
    await balance_the_books(running_stack, shoppers)
    assert seen["lost"] > 0, "the tabs never met"


async def test_two_products_bought_at_once_are_one_subscription_and_one_charge(
    running_stack: LocalStack, stack: Stack
) -> None:
    shoppers = []
    for _ in range(ROUNDS):
        shopper = await Shopper.join(stack)
        shoppers.append(shopper)
        orders = [await shopper.order("premium"), await shopper.order("family", OK_OTHER)]
        answers = await asyncio.gather(
            *(shopper.ask("POST", "/v1/me/subscriptions", orders[tab % 2]) for tab in range(6))
        )
        assert {answer.status_code for answer in answers} <= {201, 409, 503}, [a.text for a in answers]
        (held,) = await running(shopper)
        await shopper.until(f"/v1/me/subscriptions/{held['id']}", lambda found: found["status"] == "active")
        assert await shopper.effects() == {"charged": 1}, [answer.text for answer in answers]
    await balance_the_books(running_stack, shoppers)


async def test_another_product_closes_the_unpaid_one_for_good(
    running_stack: LocalStack, stack: Stack
) -> None:
    """The first waits for 3-D Secure; the second is bought; the bank's page comes too late for the first."""
    shopper = await Shopper.join(stack)
    began = await shopper.post("/v1/me/subscriptions", await shopper.order("premium", THREEDS), 201)
    assert began["payment"]["status"] == "action_required"
    browser = Browser("Shopper", Transcript())
    merchant_page = await browser.open(began["payment"]["next_action"]["url"])
    bank_page = await browser.submit(merchant_page)
    # The same product with a promo code is another purchase too.
    coded = await shopper.order("premium", promo_code="CINEMA20")
    bought = await shopper.post("/v1/me/subscriptions", coded, 201)
    assert bought["subscription"]["id"] != began["subscription"]["id"]
    with suppress(StoryBroken):  # the return page may refuse
        await browser.submit(bank_page, "confirm")
    await browser.aclose()
    first = await shopper.get(f"/v1/me/payments/{began['payment']['id']}")
    assert first["status"] == "cancelled"
    assert (await shopper.invoice(began["invoice"]["id"]))["status"] == "void"
    assert await shopper.effects() == {"charged": 1}
    refused = await shopper.ask("POST", "/v1/me/subscriptions", await shopper.order("family"))
    assert code(refused) in LOST
    await balance_the_books(running_stack, [shopper])


async def test_a_double_click_is_answered_once_and_replayed(running_stack: LocalStack, stack: Stack) -> None:
    shopper = await Shopper.join(stack)
    key, order = str(uuid4()), await shopper.order(consent=CONSENT)
    answers = await asyncio.gather(
        *(shopper.ask("POST", "/v1/me/subscriptions", order, key) for _ in range(20))
    )
    won = [answer for answer in answers if answer.status_code == 201]
    assert {code(answer) for answer in answers if answer.status_code != 201} <= {"request-in-progress"}
    replay = await shopper.ask("POST", "/v1/me/subscriptions", order, key)
    assert replay.headers["Idempotent-Replayed"] == "true"
    assert won
    assert all(answer.json() == replay.json() for answer in won)
    other = await shopper.ask("POST", "/v1/me/subscriptions", order | {"promo_code": "CINEMA20"}, key)
    assert (other.status_code, code(other)) == (422, "idempotency-key-reused")
    assert await shopper.effects() == {"charged": 1}
    await balance_the_books(running_stack, [shopper])


@asynccontextmanager
async def mortal(
    stack: LocalStack, service: str, argv: list[str], point: str, **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """One more process of a service that kills itself at a fail point."""
    named = {"APP_ENV": "test", "FAILPOINTS": f"{point}=kill"} | settings
    command = command_in(stack, service, *(f"{name}={value}" for name, value in named.items()), *argv)
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=dict(os.environ))
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    "point", ["user.order.after_key_claim", "user.order.after_commit_before_call"], ids=["K1", "K2"]
)
async def test_a_user_api_killed_in_the_middle_of_buying_loses_and_doubles_nothing(
    running_stack: LocalStack, stack: Stack, point: str
) -> None:
    shopper = await Shopper.join(stack)
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "--factory", "user_api.main:create_app", "--port", str(port)]
    key, order = str(uuid4()), await shopper.order(consent=CONSENT)
    async with mortal(running_stack, "user-api", argv, point) as process:
        own, shopper.base = shopper.base, f"http://127.0.0.1:{port}"
        async with asyncio.timeout(60):
            while True:
                try:
                    if (await shopper.http.get(f"{shopper.base}/healthz")).status_code == 200:
                        break
                except httpx.TransportError:
                    await asyncio.sleep(0.2)
        with pytest.raises(httpx.TransportError):
            await shopper.ask("POST", "/v1/me/subscriptions", order, key)
        assert await process.wait() == -signal.SIGKILL
    shopper.base = own
    assert await shopper.effects() == {}
    # The same key goes on in another process once the dead one's lease has run out.
    async with asyncio.timeout(60):
        while (answer := await shopper.ask("POST", "/v1/me/subscriptions", order, key)).status_code == 409:
            assert code(answer) == "request-in-progress"
            await asyncio.sleep(1)
    assert answer.status_code == 201, answer.text
    assert answer.json()["payment"]["status"] == "succeeded"
    assert await shopper.effects() == {"charged": 1}
    assert len(await running(shopper)) == 1
    (consent,) = (await shopper.get("/v1/me/recurring-payments"))["items"]
    assert consent["subscription_id"] == answer.json()["subscription"]["id"]
    await balance_the_books(running_stack, [shopper])


async def test_k18_a_billing_worker_killed_before_its_call_collects_once(
    running_stack: LocalStack, stack: Stack
) -> None:
    shopper = await Shopper.join(stack)
    await shopper.subscribe(number=OK, consent=CONSENT)
    running_stack.supervisor.stop(["billing-worker"])
    argv = [sys.executable, "-m", "billing_api.worker"]
    place = "billing.renew.after_commit_before_call"
    async with mortal(running_stack, "billing-worker", argv, place, HEALTH_PORT=str(free_port())) as process:
        travelling = asyncio.create_task(days_pass(running_stack, 31))
        async with asyncio.timeout(100):
            assert await process.wait() == -signal.SIGKILL
        assert await shopper.effects() == {"charged": 1}  # the renewal has not been sent
        running_stack.supervisor.start("billing-worker")
        await travelling
    await shopper.log_in()
    await balance_the_books(running_stack, [shopper])
    assert await shopper.effects() == {"charged": 2}
