"""Internal routes of accounts: block, unblock, end sessions, the clock, quiescence; and the landing page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import redis
from fastapi import FastAPI

from shared.clock import OFFSET_KEY
from tests.user_api.accounts.conftest import Person, Register, problem_code
from tests.user_api.conftest import client_of

AsService = Callable[[str], dict[str, str]]


async def order(person: Person, action: str, headers: dict[str, str], key: str = "k1", **body: Any) -> Any:
    path = f"/internal/v1/users/{person.id}/{action}"
    given = {"reason": "asked by support"} | body
    return await person.client.post(path, headers=headers | {"Idempotency-Key": key}, json=given)


async def test_blocked_user_is_out_at_once_and_may_come_back(
    register: Register, as_service: AsService, events: Any, rows: Callable[..., Any]
) -> None:
    anna, staff = await register(), as_service("admin-panel")
    answer = await order(anna, "block", staff)
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"] == {"id": anna.id, "status": "blocked", "token_epoch": 2}
    assert (await anna.get("/v1/me")).status_code == 401
    assert (await anna.refresh()).status_code == 401
    refused = await anna.log_in()
    assert (refused.status_code, problem_code(refused)) == (403, "account-blocked")
    assert problem_code(await anna.log_in("wrong password")) == "credentials-invalid"
    assert (await order(anna, "unblock", staff, "k2")).json()["user"]["status"] == "active"
    assert (await anna.refresh()).status_code == 401
    assert (await anna.log_in()).status_code == 200
    told = await events(anna.id)
    assert [event["type"] for event in told] == ["user.registered", "user.blocked", "user.unblocked"]
    assert [event["aggregatesequence"] for event in told] == [1, 2, 3]
    assert told[1]["data"]["status"] == "blocked"
    actions = await rows("SELECT actor, action, reason FROM account_actions ORDER BY id")
    assert [tuple(row) for row in actions] == [
        ("admin-panel", "user.blocked", "asked by support"),
        ("admin-panel", "user.unblocked", "asked by support"),
    ]


async def test_same_key_replays_and_other_body_is_refused(
    register: Register, as_service: AsService, events: Any
) -> None:
    anna, staff = await register(), as_service("admin-panel")
    first, again = await order(anna, "end-sessions", staff), await order(anna, "end-sessions", staff)
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert len(await events(anna.id)) == 2
    other = await order(anna, "end-sessions", staff, reason="another")
    assert (other.status_code, problem_code(other)) == (422, "idempotency-key-reused")
    # A key belongs to one path: another user's order under it is another order.
    boris = await register("boris@example.com")
    assert (await order(boris, "end-sessions", staff)).status_code == 422


async def test_blocking_twice_with_two_keys_is_one_block(
    register: Register, as_service: AsService, events: Any
) -> None:
    anna, staff = await register(), as_service("operator")
    for key in ("k1", "k2"):
        assert (await order(anna, "block", staff, key)).json()["user"]["token_epoch"] == 2
    assert len(await events(anna.id)) == 2


async def test_who_may_not(register: Register, as_service: AsService, events: Any) -> None:
    anna = await register()
    for action in ("block", "unblock", "end-sessions"):
        assert (await order(anna, action, {})).status_code == 401
        assert (await order(anna, action, anna.headers)).status_code == 401
        foreign = await order(anna, action, as_service("billing-api"))
        assert (foreign.status_code, problem_code(foreign)) == (403, "forbidden")
    assert len(await events(anna.id)) == 1


async def test_bad_orders_are_problems(register: Register, as_service: AsService, events: Any) -> None:
    anna, staff = await register(), as_service("admin-panel")
    path = f"/internal/v1/users/{anna.id}/block"
    keyless = await anna.client.post(path, headers=staff, json={"reason": "x"})
    assert (keyless.status_code, problem_code(keyless)) == (400, "idempotency-key-missing")
    assert (await order(anna, "block", staff, reason="  ")).status_code == 422
    anna.id = "018f4e5c-0000-7000-8000-000000000000"
    missing = await order(anna, "block", staff)
    assert (missing.status_code, problem_code(missing)) == (404, "user-not-found")


async def test_time_travel_moves_the_clock_of_the_suite(
    client: httpx.AsyncClient, as_service: AsService, empty_redis: str
) -> None:
    operator = as_service("operator")
    first = await client.post("/internal/v1/time-travel", headers=operator, json={"days": 2})
    assert first.status_code == 200, first.text
    second = await client.post("/internal/v1/time-travel", headers=operator, json={"seconds": 30})
    assert second.json()["offset_seconds"] == 2 * 86_400 + 30
    moved = datetime.fromisoformat(second.json()["now"]) - datetime.fromisoformat(first.json()["now"])
    assert timedelta(seconds=30) <= moved < timedelta(seconds=40)
    held = redis.Redis.from_url(empty_redis)
    assert int(str(held.get(OFFSET_KEY), "ascii")) == 2 * 86_400 + 30  # type: ignore[arg-type]
    held.close()


@pytest.mark.parametrize("body", [{}, {"days": -1}, {"days": 0}, {"days": 10**9}, {"days": "x"}])
async def test_time_only_moves_forward(
    client: httpx.AsyncClient, as_service: AsService, body: dict[str, Any]
) -> None:
    answer = await client.post("/internal/v1/time-travel", headers=as_service("operator"), json=body)
    assert (answer.status_code, problem_code(answer)) == (422, "invalid-request")


async def test_time_travel_is_for_the_operator(client: httpx.AsyncClient, as_service: AsService) -> None:
    for headers, status in ((as_service("billing-api"), 403), ({}, 401)):
        answer = await client.post("/internal/v1/time-travel", headers=headers, json={"days": 1})
        assert answer.status_code == status


async def test_time_travel_does_not_exist_in_production(
    make_app: Callable[..., FastAPI], as_service: AsService
) -> None:
    app = make_app(
        app_env="production",
        clock_redis_url=None,
        amqp_url="amqp://user-api:Vq8-long-random@127.0.0.1/",
        pay_api_token="Zp1-long-random",
        billing_api_token="Yt2-long-random",
        public_url="https://cinema.tv",
        return_url_origins="",
    )
    async with client_of(app) as client:
        answer = await client.post(
            "/internal/v1/time-travel", headers=as_service("operator"), json={"days": 1}
        )
        assert (answer.status_code, problem_code(answer)) == (404, "not-found")
        assert "/internal/v1/time-travel" not in (await client.get("/openapi.json")).json()["paths"]


def test_production_refuses_development_secrets(make_app: Callable[..., FastAPI]) -> None:
    with pytest.raises(SystemExit, match="refusing to start"):
        make_app(app_env="production", clock_redis_url=None)


async def test_quiet_only_when_the_outbox_is_empty(
    client: httpx.AsyncClient, register: Register, as_service: AsService, rows: Callable[..., Any]
) -> None:
    headers = as_service("operator")
    before = (await client.get("/internal/v1/quiescence", headers=headers)).json()
    assert before["quiet"] is True
    await register()
    during = (await client.get("/internal/v1/quiescence", headers=headers)).json()
    assert (during["quiet"], during["pending"]["outbox"]) == (False, 2)
    await rows("UPDATE outbox SET published_at = created_at")
    assert (await client.get("/internal/v1/quiescence", headers=headers)).json()["quiet"] is True
    assert (await client.get("/internal/v1/quiescence")).status_code == 401


async def test_landing_page_speaks_two_languages_and_links_every_door(client: httpx.AsyncClient) -> None:
    russian = await client.get("/", headers={"Accept-Language": "ru-RU,ru;q=0.9"})
    english = await client.get("/", headers={"Accept-Language": "en-GB"})
    assert 'lang="ru"' in russian.text
    assert "Подписки" in russian.text
    assert 'lang="en"' in english.text
    assert (await client.get("/?lang=ru", headers={"Accept-Language": "en"})).text == russian.text
    for door in ("/user-api/docs", "/pay-api/docs", "/billing-api/docs", "/admin/"):
        assert f'href="http://127.0.0.1:8080{door}"' in english.text
    assert "default-src 'none'" in english.headers["content-security-policy"]


async def test_reference_and_unknown_paths(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "'openapi.json'" in page.text or '"openapi.json"' in page.text
    for method, path, status in (("GET", "/nowhere", 404), ("PUT", "/v1/auth/login", 405)):
        answer = await client.request(method, path)
        assert answer.status_code == status
        assert problem_code(answer)


async def test_database_away_is_503(make_app: Callable[..., FastAPI], register: Register) -> None:
    anna = await register()
    away = make_app(database_url="postgresql://user_api:x@127.0.0.1:1/users")
    async with client_of(away) as client:
        answer = await client.get("/v1/me", headers=anna.headers)
        assert (answer.status_code, problem_code(answer)) == (503, "database-unavailable")
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200
