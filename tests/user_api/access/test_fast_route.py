"""The fast road of the access check says what the full one says, and never more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from redis.exceptions import ConnectionError as RedisConnectionError

from shared import metrics
from shared.clock import ManualClock
from tests.user_api.commerce.conftest import Catalogue, Person
from tests.user_api.commerce.fakes import FakeBillingApi
from tests.user_api.commerce.test_access import subscribe
from user_api.access_route import ROUTE, AccessRoute
from user_api.gathered_reads import GatheredReads
from user_api.resources import Resources
from user_api.user_service import access_tokens

PATH = "/v1/me/access-rights/"


@pytest.fixture
def without_fast_road(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    async def no(*_: Any) -> bool:
        return False

    return lambda: monkeypatch.setattr(AccessRoute, "answer", no)


async def test_both_roads_answer_alike(
    anna: Person,
    client: httpx.AsyncClient,
    catalogue: Catalogue,
    billing: FakeBillingApi,
    deliver: Any,
    without_fast_road: Callable[[], None],
) -> None:
    film = uuid4()
    await catalogue.collection("basic", film)
    await subscribe(anna, await catalogue.product("collection:basic", "feature:uhd"), billing, deliver)
    resources = ["feature:uhd", "feature:no", f"movie:{film}", f"movie:{uuid4()}", "collection:basic"]
    odd = ["users:rights", "feature:%2e%2e", "feature:uhd%0a", "x" * 200, "feature:UHD", "feature:uhd/more"]
    headers = [
        anna.headers,
        anna.headers | {"X-Correlation-ID": "mine-1"},
        anna.headers | {"X-Correlation-ID": "not one\tof ours"},
        {},
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": "Basic YTpi"},
        anna.headers | {"Content-Length": "70000"},
    ]

    async def ask() -> list[Any]:
        found = []
        for given in headers:
            for name in (*resources, *odd):
                answer = await client.get(PATH + name, headers=given)
                kept = {k: v for k, v in answer.headers.items() if k != "x-correlation-id"}
                own = answer.headers["x-correlation-id"]
                body = answer.json()
                body.pop("correlation_id", None)
                found.append((answer.status_code, body, kept, own == "mine-1", len(own) >= 6))
        return found

    fast = await ask()
    assert sum(status == 200 for status, *_ in fast) == 3 * len(resources)
    without_fast_road()
    assert await ask() == fast


async def test_it_is_the_fast_road_that_answers_and_is_counted(
    anna: Person, app: FastAPI, client: httpx.AsyncClient
) -> None:
    called = 0

    async def counting(*_: Any) -> None:
        nonlocal called
        called += 1

    app.middleware_stack = counting  # the application behind would answer nothing
    counter = metrics.HTTP_REQUESTS.labels("GET", ROUTE, "200")
    before = counter._value.get()
    answer = await client.get(PATH + "feature:uhd", headers=anna.headers)
    assert answer.json() == {"resource": "feature:uhd", "granted": False, "until": None}
    assert (called, counter._value.get()) == (0, before + 1)


async def test_the_route_stands_in_the_documentation(client: httpx.AsyncClient) -> None:
    operation = (await client.get("/openapi.json")).json()["paths"]["/v1/me/access-rights/{resource}"]["get"]
    assert {"200", "401", "422", "503"} <= set(operation["responses"])


@pytest.mark.parametrize("order", ["end one", "end all", "block"])
async def test_a_revocation_is_seen_within_a_second(
    order: str,
    anna: Person,
    client: httpx.AsyncClient,
    as_service: Callable[[str], dict[str, str]],
    make_app: Callable[..., FastAPI],
) -> None:
    """By another process too, which has verified the token and read the rights before."""
    elsewhere = make_app()
    transport = httpx.ASGITransport(elsewhere)
    async with httpx.AsyncClient(transport=transport, base_url="http://user-api") as other:
        for asked in (client, other):
            assert (await asked.get(PATH + "feature:uhd", headers=anna.headers)).status_code == 200
        if order == "end one":
            sessions = (await anna.get("/v1/auth/sessions")).json()["items"]
            done = await anna.delete(f"/v1/auth/sessions/{sessions[0]['id']}")
        elif order == "end all":
            done = await anna.delete("/v1/auth/sessions")
        else:
            operator = as_service("operator") | {"Idempotency-Key": str(uuid4())}
            path = f"/internal/v1/users/{anna.id}/block"
            done = await client.post(path, headers=operator, json={"reason": "fraud"})
        assert done.is_success
        for asked in (client, other):  # the very next request, in either process
            answer = await asked.get(PATH + "feature:uhd", headers=anna.headers)
            assert (answer.status_code, answer.json()["type"]) == (401, "/problems/session-ended")


async def test_a_revocation_that_fell_into_a_hiccup_of_redis_is_seen_within_a_second(
    anna: Person, client: httpx.AsyncClient, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await client.get(PATH + "feature:uhd", headers=anna.headers)).status_code == 200
    store = resources.rights._store

    async def broken(*_: Any) -> Any:
        raise RedisConnectionError

    monkeypatch.setattr(resources.rights, "_store", broken)
    assert (await anna.delete("/v1/auth/sessions")).status_code == 204
    monkeypatch.setattr(resources.rights, "_store", store)
    await asyncio.sleep(0.7)
    assert (await client.get(PATH + "feature:uhd", headers=anna.headers)).status_code == 401


async def test_a_remembered_token_still_expires_and_dies_with_its_key(
    anna: Person,
    client: httpx.AsyncClient,
    clock: ManualClock,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from datetime import timedelta

    monkeypatch.setattr(access_tokens, "LOOK_AGAIN_SECONDS", 600.0)
    ask = PATH + "feature:uhd"
    assert (await client.get(ask, headers=anna.headers)).status_code == 200
    token = anna.headers["Authorization"].removeprefix("Bearer ")
    assert token in resources.end_users._known
    public = resources.access_tokens._public
    held = dict(public)
    public.clear()
    assert (await client.get(ask, headers=anna.headers)).status_code == 401
    public.update(held)
    assert (await client.get(ask, headers=anna.headers)).status_code == 200
    clock.advance(timedelta(minutes=10))
    answer = await client.get(ask, headers=anna.headers)
    assert answer.json()["type"] == "/problems/token-expired"
    assert token not in resources.end_users._known


async def test_look_ups_of_one_turn_share_one_mget_and_none_is_left_waiting() -> None:
    asked: list[list[str]] = []

    async def fetch(keys: list[str]) -> list[str | None] | None:
        asked.append(keys)
        await asyncio.sleep(0)
        if "bad" in keys:
            raise ValueError
        return [f"v-{key}" for key in keys]

    reads = GatheredReads(fetch, always=["version"])
    found = await asyncio.gather(*(reads.get([f"k{n % 5}"]) for n in range(40)))
    assert {one["version"] for one in found if one} == {"v-version"}
    assert asked == [["version", "k0", "k1", "k2", "k3", "k4"]]
    assert [one[f"k{n % 5}"] for n, one in enumerate(found) if one] == [f"v-k{n % 5}" for n in range(40)]
    bad, gone = reads.get(["bad"]), reads.get(["gone"])
    await asyncio.sleep(0)
    gone.cancel()
    assert await bad is None
    assert await reads.get(["next"]) == {"version": "v-version", "next": "v-next"}
