"""Figures of a whole running stack: purchases end to end, access during a billing run, Redis stopped.

``make up MODE=local``, then ``python -m deploy.stack run benchmarks.stack``; it moves the suite's clock by a
month and stops Redis for some seconds, so use a stack that may be dropped (``make reset``). Prints a table,
then the same as JSON; the exit code is 1 when a bound is missed.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from benchmarks import load
from benchmarks.figures import Figure, tell
from deploy.local.stack import LocalStack
from deploy.progress import Progress
from deploy.time_travel import travel
from tests.e2e.shopper import CONSENT, Shopper
from tests.e2e.stack import Stack

PURCHASES: Final = int(os.environ.get("BENCH_PURCHASES", "100"))
REVOCATIONS: Final = 20
RATE: Final = 200
MONTH: Final = 31
REDIS_AWAY_SECONDS: Final = 8.0
POLL_SECONDS: Final = 0.005
NOBODY_HAS: Final = "feature:nobody-has-it"


def quantile_ms(seconds: Sequence[float], share: float) -> float:
    ordered = sorted(seconds)
    return 1000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)]


async def until_granted(shopper: Shopper, resource: str, granted: bool) -> None:
    path = f"/v1/me/access-rights/{resource}"
    while (await shopper.get(path))["granted"] is not granted:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(POLL_SECONDS)


async def purchases(stack: Stack, resource: str) -> tuple[list[Shopper], list[Figure]]:
    """One after another: from the request to the moment the access right is granted."""
    answered, granted, shoppers = [], [], []
    for _ in range(PURCHASES):
        shopper = await Shopper.join(stack)
        order = await shopper.order("premium", consent=CONSENT)
        began = time.perf_counter()
        await shopper.post("/v1/me/subscriptions", order, 201)
        answered.append(time.perf_counter() - began)
        await until_granted(shopper, resource, True)
        granted.append(time.perf_counter() - began)
        shoppers.append(shopper)
    return shoppers, [
        Figure("a purchase is answered, p50", quantile_ms(answered, 0.5), "ms"),
        Figure("a purchase is answered, p99", quantile_ms(answered, 0.99), "ms", at_most=2000),
        Figure("request to access granted, p50", quantile_ms(granted, 0.5), "ms", at_most=1000),
        Figure("request to access granted, p99", quantile_ms(granted, 0.99), "ms", at_most=2000),
    ]


async def revocations(shoppers: Sequence[Shopper], resource: str) -> list[Figure]:
    """From BillingAPI's answer to a cancellation to the first refused check, over all services and queues."""
    seconds = []
    for shopper in shoppers:
        (held,) = (await shopper.get("/v1/me/subscriptions"))["items"]
        await shopper.post(f"/v1/me/subscriptions/{held['id']}/cancel", {"mode": "now"})
        began = time.perf_counter()
        await until_granted(shopper, resource, False)
        seconds.append(time.perf_counter() - began)
    return [
        Figure("a revocation is seen, p50", quantile_ms(seconds, 0.5), "ms"),
        Figure("a revocation is seen, slowest", quantile_ms(seconds, 1), "ms", at_most=1000),
    ]


class Checks:
    """A steady stream of access checks: half for what everybody has, half for what nobody has."""

    def __init__(self, port: int, shoppers: Sequence[Shopper], resource: str) -> None:
        self.port, self.resource = port, resource
        self._requests = [
            load.get(f"/v1/me/access-rights/{name}", shopper.token)
            for shopper in shoppers
            for name in (resource, NOBODY_HAS)
        ]

    async def run(self, seconds: float) -> load.Outcome:
        return await load.open_loop(
            self.port, lambda number: self._requests[number % len(self._requests)], RATE, seconds
        )


def false_grants(seen: load.Outcome) -> int:
    """More grants than requests for what is held: somebody got what nobody has."""
    return max(0, seen.granted - math.ceil(len(seen.seconds) / 2))


def not_200(seen: load.Outcome) -> int:
    return sum(count for status, count in seen.statuses.items() if status != 200)


async def during_a_billing_run(
    local: LocalStack, stack: Stack, shoppers: Sequence[Shopper], checks: Checks
) -> list[Figure]:
    """The month ends for everybody at once; invoices are issued and collected while access is checked."""
    quiet = await checks.run(5)
    travelling = asyncio.create_task(
        asyncio.to_thread(travel, stack.urls, local.operator_tokens(), MONTH, Progress(), 300)
    )
    while not await renewals(stack):  # noqa: ASYNC110
        await asyncio.sleep(0.1)  # beat looks every 10 s
    for shopper in shoppers[:10]:
        await shopper.log_in()
    again = Checks(checks.port, shoppers[:10], checks.resource)
    billed = await renewals(stack)
    seen = await again.run(10)
    issued = await renewals(stack) - billed
    await travelling
    return [
        Figure("access at 200 rps, nothing else, p99", quiet.quantile_ms(0.99), "ms"),
        Figure("access at 200 rps during a billing run, p50", seen.quantile_ms(0.5), "ms"),
        Figure("access at 200 rps during a billing run, p99", seen.quantile_ms(0.99), "ms", at_most=150),
        Figure("renewals issued meanwhile", issued, ""),
        Figure("answers other than 200 during it", not_200(seen), "", at_most=0),
    ]


async def renewals(stack: Stack) -> int:
    """How many renewal invoices there are; read past the APIs, so that counting costs them nothing."""
    connection = await asyncpg.connect(stack.urls["databases"]["billing"])
    try:
        found = await connection.fetchval("SELECT count(*) FROM invoice WHERE kind = 'renewal'")
    finally:
        await connection.close()
    return int(found)


@asynccontextmanager
async def redis_stopped(local: LocalStack) -> AsyncIterator[None]:
    await asyncio.to_thread(local.supervisor.stop, ["redis"])
    try:
        yield
    finally:
        await asyncio.to_thread(local.supervisor.start, "redis")


async def without_redis(local: LocalStack, checks: Checks) -> list[Figure]:
    """Redis is stopped under the load and comes back under it."""
    running = asyncio.create_task(checks.run(REDIS_AWAY_SECONDS + 4))
    await asyncio.sleep(1)
    async with redis_stopped(local):
        await asyncio.sleep(REDIS_AWAY_SECONDS)
    seen = await running
    return [
        Figure("Redis stopped: access p99", seen.quantile_ms(0.99), "ms", at_most=150),
        Figure("Redis stopped: false grants", false_grants(seen), "", at_most=0),
        Figure("Redis stopped: answers other than 200", not_200(seen), "", at_most=0),
    ]


async def measure(stack: Stack, local: LocalStack) -> list[Figure]:
    guest = Shopper(stack)
    products: list[dict[str, Any]] = (await guest.http.get(f"{guest.base}/v1/products?limit=100")).json()[
        "items"
    ]
    await guest.aclose()
    premium = next(one for one in products if one["slug"] == "premium")
    resource = premium["grants"][0]
    shoppers, figures = await purchases(stack, resource)
    leaving, staying = shoppers[:REVOCATIONS], shoppers[REVOCATIONS:]
    figures += await revocations(leaving, resource)
    port = urlsplit(stack.urls["user_api"]).port or 0
    checks = Checks(port, staying[:40], resource)
    figures += await during_a_billing_run(local, stack, staying, checks)
    for shopper in staying[:40]:
        await shopper.log_in()
    figures += await without_redis(local, Checks(port, staying[:40], resource))
    for shopper in shoppers:
        await shopper.aclose()
    return figures


def main() -> int:
    figures = asyncio.run(measure(Stack.from_environment(), LocalStack()))
    print(f"{PURCHASES} purchases; 1-minute load of the machine {os.getloadavg()[0]:.1f}")
    return tell(figures)


if __name__ == "__main__":
    sys.exit(main())
