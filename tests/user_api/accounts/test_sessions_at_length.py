"""Long rounds on sessions: R10, reuse in a thousand orders, and the time a log-in takes."""

from __future__ import annotations

import asyncio
import math
import os
import random
from bisect import bisect_right
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from shared.clock import ManualClock
from tests.user_api.accounts.conftest import Register
from tests.user_api.conftest import client_of
from user_api.resources import Resources
from user_api.user_service.models import User
from user_api.user_service.open_session import open_session
from user_api.user_service.throttle_login import WINDOW

ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


async def another_session(resources: Resources, user_id: str) -> str:
    """A refresh token of a new session, without the cost of a password."""
    async with resources.sessions() as session:
        user = await session.get(User, UUID(user_id))
    assert user is not None
    tokens = await open_session(
        resources.session_store,
        resources.access_tokens,
        resources.clock.now(),
        user_id=user.id,
        epoch=user.token_epoch,
        user_agent="",
    )
    return tokens.refresh_token


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/v1/auth/refresh", json={"refresh_token": token})


async def test_r10_fifty_at_once_a_hundred_times(
    app: FastAPI, client: httpx.AsyncClient, register: Register, clock: ManualClock
) -> None:
    anna = await register()
    resources: Resources = app.state.resources
    for _ in range(100 * ROUNDS):
        token = await another_session(resources, anna.id)
        answers = await asyncio.gather(*(refresh(client, token) for _ in range(50)))
        statuses = [answer.status_code for answer in answers]
        assert (statuses.count(200), statuses.count(409)) == (1, 49)
        won = next(answer.json()["refresh_token"] for answer in answers if answer.status_code == 200)
        clock.advance(timedelta(seconds=6))  # after the grace the old one ends the family
        assert (await refresh(client, token)).status_code == 401
        assert (await refresh(client, won)).status_code == 401
    assert (await anna.log_in()).status_code == 200


async def test_reuse_is_noticed_in_a_thousand_orders(
    app: FastAPI, client: httpx.AsyncClient, register: Register, clock: ManualClock
) -> None:
    anna = await register()
    resources: Resources = app.state.resources
    order = random.Random(10_000)
    for _ in range(1000 * ROUNDS):
        tokens = [await another_session(resources, anna.id)]
        for _ in range(order.randint(1, 4)):
            clock.advance(timedelta(seconds=order.randint(1, 900)))
            answer = await refresh(client, tokens[-1])
            assert answer.status_code == 200
            tokens.append(answer.json()["refresh_token"])
        clock.advance(timedelta(seconds=6))
        assert (await refresh(client, order.choice(tokens[:-1]))).status_code == 401
        assert (await refresh(client, tokens[-1])).status_code == 401


def same_distribution(first: list[float], second: list[float]) -> float:
    """p of the two-sample Kolmogorov-Smirnov test (asymptotic)."""
    values = sorted(first + second)
    n, m = len(first), len(second)
    ranked = [sorted(first), sorted(second)]

    def share(sample: list[float], value: float) -> float:
        return bisect_right(sample, value) / len(sample)

    distance = max(abs(share(ranked[0], v) - share(ranked[1], v)) for v in values)
    root = math.sqrt(n * m / (n + m))
    scaled = (root + 0.12 + 0.11 / root) * distance
    return min(1.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101)))


def test_the_measure_tells_apart_what_differs() -> None:
    order = random.Random(1)
    same = [[order.gauss(50, 5) for _ in range(300)] for _ in range(2)]
    assert same_distribution(*same) > 0.01
    assert same_distribution(same[0], [value + 3 for value in same[1]]) < 0.01


async def test_time_does_not_tell_whether_an_account_exists(
    make_app: Callable[..., FastAPI], register: Register, clock: ManualClock
) -> None:
    await register()
    app = make_app(login_failures_per_ip="1000000/hour")
    took: dict[str, list[float]] = {"anna@example.com": [], "nobody@example.com": []}
    loop = asyncio.get_running_loop()
    async with client_of(app) as client:
        for number in range(520):
            clock.advance(WINDOW)
            emails = list(took) if number % 2 else list(reversed(took))
            for email in emails:
                started = loop.time()
                body = {"email": email, "password": "some wrong guess"}
                assert (await client.post("/v1/auth/login", json=body)).status_code == 401
                if number >= 20:  # the first ones warm everything up
                    took[email].append(loop.time() - started)
    assert same_distribution(*took.values()) > 0.01
