"""Access rights end to end: from BillingAPI's events to the answer, with Redis and without."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.clock import ManualClock
from shared.ids import new_id
from tests.servers import free_port
from tests.user_api.commerce.conftest import Catalogue, Person, SignUp
from tests.user_api.commerce.fakes import FakeBillingApi
from user_api.cache import RightsKeys
from user_api.consumers import EventHandlers
from user_api.resources import Resources
from user_api.rights_cache import RightsCache

MONTH = timedelta(days=30)


async def subscribe(anna: Person, product: UUID, billing: FakeBillingApi, deliver: Any) -> UUID:
    answer = await anna.buy(product)
    assert answer.status_code == 201, answer.text
    subscription_id = UUID(answer.json()["subscription"]["id"])
    billing.settle(subscription_id)
    await deliver()
    return subscription_id


async def test_a_film_through_its_collection_and_the_end_by_the_clock(
    anna: Person, catalogue: Catalogue, billing: FakeBillingApi, deliver: Any, clock: ManualClock
) -> None:
    film, other = uuid4(), uuid4()
    collection = await catalogue.collection("basic", film)
    await subscribe(anna, await catalogue.product("collection:basic"), billing, deliver)
    answer = (await anna.get(f"/v1/me/access-rights/movie:{film}")).json()
    assert answer["granted"]
    assert answer["until"].startswith("2026-03-31T12:00:00")
    assert not await anna.may(f"movie:{other}")
    await catalogue.collection("basic", film, other, collection_id=collection)
    assert await anna.may(f"movie:{other}")
    await catalogue.collection("basic", other, collection_id=collection)
    assert not await anna.may(f"movie:{film}")
    listed = (await anna.get("/v1/me/access-rights")).json()["items"]
    assert [item["resource"] for item in listed] == ["collection:basic"]

    token_needs = timedelta(minutes=5)
    clock.advance(token_needs)
    assert await anna.may(f"movie:{other}")


async def test_rights_end_without_an_event(
    anna: Person,
    catalogue: Catalogue,
    billing: FakeBillingApi,
    deliver: Any,
    clock: ManualClock,
    resources: Resources,
) -> None:
    await subscribe(anna, await catalogue.product("feature:uhd"), billing, deliver)
    clock.advance(MONTH - timedelta(seconds=1))
    assert (await resources.rights.check(anna.id, "feature:uhd")).granted
    clock.advance(timedelta(seconds=1))
    assert not (await resources.rights.check(anna.id, "feature:uhd")).granted


async def test_a_cancelled_subscription_takes_its_rights_and_consents(
    anna: Person, catalogue: Catalogue, billing: FakeBillingApi, deliver: Any, rows: Callable[..., Any]
) -> None:
    subscription_id = await subscribe(anna, await catalogue.product("feature:uhd"), billing, deliver)
    assert await anna.may("feature:uhd")
    billing.tell(subscription_id, "subscription.cancelled", timedelta(), status="cancelled")
    await deliver()
    assert not await anna.may("feature:uhd")
    events = await rows(
        "SELECT event_type, envelope FROM outbox WHERE aggregate_type = 'access' ORDER BY aggregate_sequence"
    )
    assert [event["event_type"] for event in events] == ["access.granted", "access.revoked"]
    last = json.loads(events[-1]["envelope"])["data"]
    assert (last["rights"], last["changed"]) == ([], ["feature:uhd"])


async def test_after_the_grace_access_is_reduced_as_the_product_says_until_it_is_cancelled(
    anna: Person,
    catalogue: Catalogue,
    billing: FakeBillingApi,
    deliver: Any,
    clock: ManualClock,
    resources: Resources,
) -> None:
    product = await catalogue.product("feature:uhd", "collection:old", reduced=["collection:old"])
    subscription_id = await subscribe(anna, product, billing, deliver)
    grace, rest = timedelta(days=3), timedelta(days=21)
    billing.tell(
        subscription_id,
        "subscription.past_due",
        grace,
        status="past_due",
        reduced_until=clock.now() + rest,
    )
    await deliver()

    async def held() -> list[bool]:
        checks = [await resources.rights.check(anna.id, name) for name in ("feature:uhd", "collection:old")]
        return [check.granted for check in checks]

    assert await held() == [True, True]
    clock.advance(grace)  # no event comes
    assert await held() == [False, True]
    await catalogue.product("feature:uhd", "collection:old", product_id=product)
    assert await held() == [False, False]  # the product leaves nothing any more
    await catalogue.product("feature:uhd", "collection:old", product_id=product, reduced=["collection:old"])
    assert await held() == [False, True]
    clock.advance(rest - grace)
    assert await held() == [False, False]


async def test_old_and_repeated_events_change_nothing_and_gaps_do_not_matter(
    anna: Person,
    catalogue: Catalogue,
    billing: FakeBillingApi,
    deliver: Any,
    handlers: EventHandlers,
    rows: Callable[..., Any],
) -> None:
    subscription_id = await subscribe(anna, await catalogue.product("feature:uhd"), billing, deliver)
    second = billing.tell(subscription_id, "subscription.renewed", 2 * MONTH)
    billing.tell(subscription_id, "subscription.past_due", 2 * MONTH)
    fourth = billing.tell(subscription_id, "subscription.cancelled", timedelta(), status="cancelled")
    billing.events.clear()
    await handlers.handle_invoice_event(fourth)  # third never came
    assert not await anna.may("feature:uhd")
    versions = await rows("SELECT version FROM access_versions")
    await handlers.handle_invoice_event(second)
    await handlers.handle_invoice_event(fourth)
    assert not await anna.may("feature:uhd")
    assert await rows("SELECT version FROM access_versions") == versions
    outcomes = await rows(
        "SELECT outcome FROM inbox WHERE consumer = 'users.invoices' ORDER BY handled_at, outcome"
    )
    assert sorted(row["outcome"] for row in outcomes) == ["applied", "applied", "stale"]


async def test_a_product_published_late_or_anew_moves_the_rights_of_those_who_have_it(
    anna: Person, catalogue: Catalogue, billing: FakeBillingApi, deliver: Any
) -> None:
    product = new_id()
    billing.prices[product] = 49900  # BillingAPI knows it, UserAPI not yet
    await subscribe(anna, product, billing, deliver)
    assert not await anna.may("feature:uhd")
    await catalogue.product("feature:uhd", product_id=product)
    assert await anna.may("feature:uhd")
    await catalogue.product("feature:hd", product_id=product)
    assert await anna.may("feature:hd")
    assert not await anna.may("feature:uhd")
    await catalogue.product("feature:hd", product_id=product, status="retired")
    assert await anna.may("feature:hd")  # retired: nobody buys it any more, those who have it keep it


async def test_an_older_state_never_overwrites_a_newer_one(anna: Person, resources: Resources) -> None:
    newer, _ = await resources.rights._load(anna.id)
    older = dataclasses.replace(newer, epoch=99)
    newer = dataclasses.replace(newer, version=newer.version + 2)
    await resources.rights._remember(anna.id, newer, 5)
    await asyncio.gather(*(resources.rights._remember(anna.id, older, 4) for _ in range(20)))
    held = await resources.cache_redis.get(RightsKeys.of_user(anna.id))
    assert json.loads(held)["version"] == newer.version
    assert 0 < await resources.cache_redis.ttl(RightsKeys.of_user(anna.id)) <= 60
    assert await resources.cache_redis.get(RightsKeys.CATALOG_VERSION) == "5"
    await resources.rights.announce_catalog(7)
    await resources.rights.announce_catalog(6)
    assert await resources.cache_redis.get(RightsKeys.CATALOG_VERSION) == "7"


async def test_a_hit_asks_only_redis_and_a_miss_asks_the_database_once(
    anna: Person, resources: Resources
) -> None:
    loads = 0
    load = resources.rights._load

    async def counted(user_id: UUID) -> Any:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.02)
        return await load(user_id)

    resources.rights._load = counted  # type: ignore[method-assign]
    await asyncio.gather(*(resources.rights.check(anna.id, "feature:uhd") for _ in range(50)))
    assert loads == 1
    for _ in range(5):
        assert not (await resources.rights.check(anna.id, "feature:uhd")).granted  # a "no" is remembered too
    assert loads == 1


async def test_redis_down_is_still_right_and_soon_bypassed(
    anna: Person, catalogue: Catalogue, billing: FakeBillingApi, deliver: Any, resources: Resources
) -> None:
    film = uuid4()
    await catalogue.collection("basic", film)
    await subscribe(anna, await catalogue.product("collection:basic"), billing, deliver)
    port = free_port()
    gone = Redis.from_url(f"redis://127.0.0.1:{port}", socket_connect_timeout=0.05)
    rights = RightsCache(gone, resources.sessions, resources.clock)
    for _ in range(5):
        assert (await rights.check(anna.id, f"movie:{film}")).granted
        assert not (await rights.check(anna.id, "feature:uhd")).granted
    assert rights._breaker.is_open
    await rights.refresh([anna.id])
    await gone.aclose()


async def test_a_slow_redis_costs_its_budget_only(anna: Person, resources: Resources) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    slow = Redis.from_url(f"redis://127.0.0.1:{port}", socket_timeout=5)
    rights = RightsCache(slow, resources.sessions, resources.clock)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert not (await rights.check(anna.id, "feature:uhd")).granted
    assert loop.time() - began < 1
    await slow.aclose()
    server.close()


async def test_doubt_is_503_never_granted(
    anna: Person, catalogue: Catalogue, billing: FakeBillingApi, deliver: Any, resources: Resources
) -> None:
    await subscribe(anna, await catalogue.product("feature:uhd"), billing, deliver)

    async def broken(*_: Any) -> Any:
        raise RedisConnectionError

    resources.rights._redis.mget = broken  # type: ignore[method-assign]

    def no_database() -> Any:
        raise OSError("gone")

    resources.rights._sessions = no_database  # type: ignore[assignment]
    answer = await anna.get("/v1/me/access-rights/feature:uhd")
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/access-unknown"


async def test_checks_for_services(
    anna: Person,
    sign_up: SignUp,
    client: httpx.AsyncClient,
    catalogue: Catalogue,
    billing: FakeBillingApi,
    deliver: Any,
    as_service: Callable[[str], dict[str, str]],
) -> None:
    boris = await sign_up("boris@example.com")
    await subscribe(anna, await catalogue.product("feature:uhd"), billing, deliver)
    checks = [
        {"user_id": str(boris.id), "resource": "feature:uhd"},
        {"user_id": str(anna.id), "resource": "feature:uhd"},
        {"user_id": str(anna.id), "resource": "feature:hd"},
        {"user_id": str(uuid4()), "resource": "feature:uhd"},
    ]
    headers = as_service("billing-api")
    answer = await client.post("/internal/v1/access-checks", headers=headers, json={"checks": checks})
    assert [item["granted"] for item in answer.json()["items"]] == [False, True, False, False]
    listed = await client.get(f"/internal/v1/access-rights?user_id={anna.id}", headers=headers)
    assert [item["resource"] for item in listed.json()["items"]] == ["feature:uhd"]
    bad = [{"user_id": str(anna.id), "resource": "users:rights:*"}]
    refused = await client.post("/internal/v1/access-checks", headers=headers, json={"checks": bad})
    assert refused.json()["type"] == "/problems/resource-invalid"
    for given in (anna.headers, {}):
        denied = await client.post("/internal/v1/access-checks", headers=given, json={"checks": checks})
        assert denied.status_code == 401


async def test_an_ended_session_may_nothing_at_once(
    anna: Person, client: httpx.AsyncClient, as_service: Callable[[str], dict[str, str]]
) -> None:
    assert not await anna.may("feature:uhd")  # in Redis now
    assert (await anna.delete("/v1/auth/sessions")).status_code == 204
    answer = await anna.get("/v1/me/access-rights")
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/session-ended")
    credentials = {"email": "anna@example.com", "password": "correct horse battery"}
    again = (await client.post("/v1/auth/login", json=credentials)).json()
    headers = {"Authorization": f"Bearer {again['access_token']}"}
    assert (await client.get("/v1/me/access-rights", headers=headers)).status_code == 200
    order = as_service("operator") | {"Idempotency-Key": str(uuid4())}
    path = f"/internal/v1/users/{anna.id}/block"
    assert (await client.post(path, headers=order, json={"reason": "fraud"})).status_code == 200
    assert (await client.get("/v1/me/access-rights", headers=headers)).status_code == 401
