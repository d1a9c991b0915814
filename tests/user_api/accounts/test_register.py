"""Registering: what is stored, what is told, what is refused and then leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.user_api.accounts.conftest import PASSWORD, Register, problem_code
from tests.user_api.conftest import client_of


async def test_gives_the_user_and_a_first_session(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/v1/auth/register",
        json={
            "email": "Anna.Petrova@Example.com",
            "password": PASSWORD,
            "full_name": "  Анна Петрова ",
            "phone": "+7 (916) 123-45-67",
            "locale": "en",
            "time_zone": "Asia/Yekaterinburg",
        },
    )
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"user", "access_token", "refresh_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    me = await client.get("/v1/me", headers={"Authorization": f"Bearer {body['access_token']}"})
    assert me.json() == body["user"]
    assert {name: me.json()[name] for name in ("full_name", "phone", "locale", "time_zone")} == {
        "full_name": "Анна Петрова",
        "phone": "+79161234567",
        "locale": "en",
        "time_zone": "Asia/Yekaterinburg",
    }


async def test_event_carries_the_state_and_no_contacts(register: Register, events: Any) -> None:
    anna = await register(full_name="Анна Петрова", phone="+79161234567")
    (event,) = await events(anna.id)
    assert (event["type"], event["aggregatesequence"]) == ("user.registered", 1)
    assert event["data"]["user_id"] == anna.id
    assert (event["data"]["locale"], event["data"]["time_zone"]) == ("ru", "Europe/Moscow")
    text = str(event)
    assert "anna@" not in text
    assert "Петрова" not in text
    assert "9161234567" not in text


async def test_password_is_kept_as_argon2id_with_the_agreed_cost(
    register: Register, rows: Callable[..., Any]
) -> None:
    await register()
    (row,) = await rows("SELECT password_hash FROM users")
    assert row["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_same_address_in_another_case_is_taken(
    client: httpx.AsyncClient, register: Register, rows: Callable[..., Any]
) -> None:
    await register("anna@example.com")
    answer = await client.post("/v1/auth/register", json={"email": "ANNA@EXAMPLE.COM", "password": PASSWORD})
    assert (answer.status_code, problem_code(answer)) == (409, "email-taken")
    assert (
        len(await rows("SELECT 1 FROM users"))
        == len(await rows("SELECT 1 FROM outbox WHERE aggregate_type = 'user'"))
        == 1
    )


async def test_one_of_many_at_once_gets_the_address(
    client: httpx.AsyncClient, rows: Callable[..., Any]
) -> None:
    body = {"email": "anna@example.com", "password": PASSWORD}
    answers = await asyncio.gather(*(client.post("/v1/auth/register", json=body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert (
        len(await rows("SELECT 1 FROM users"))
        == len(await rows("SELECT 1 FROM outbox WHERE aggregate_type = 'user'"))
        == 1
    )


GOOD = {"email": "anna@example.com", "password": PASSWORD}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"email": "no-at-sign"}, "invalid-request"),
        ({"email": "a" * 250 + "@example.com"}, "invalid-request"),
        ({"email": None}, "invalid-request"),
        ({"password": "seven77"}, "invalid-request"),
        ({"password": "x" * 129}, "invalid-request"),
        ({"password": "password123"}, "password-too-weak"),
        ({"password": "anna@example.com"}, "password-too-weak"),
        ({"password": "aaaaaaaaaaaa"}, "password-too-weak"),
        ({"phone": "89161234567"}, "invalid-request"),
        ({"phone": "+7916"}, "invalid-request"),
        ({"phone": "+791612345678"}, "invalid-request"),  # a digit more than Russia has
        ({"phone": "+999161234567"}, "invalid-request"),  # no such country
        ({"phone": "ask +79161234567"}, "invalid-request"),
        ({"phone": "+79161234567 ext. 5"}, "invalid-request"),
        ({"locale": "de"}, "invalid-request"),
        ({"time_zone": "Moscow"}, "invalid-request"),
        ({"time_zone": "../../etc/passwd"}, "invalid-request"),
        ({"full_name": "   "}, "invalid-request"),
        ({"full_name": "a\u0000b"}, "invalid-request"),
        ({"full_name": "x" * 201}, "invalid-request"),
        ({"status": "active"}, "invalid-request"),
        ({"token_epoch": 7}, "invalid-request"),
        ({"id": "018f4e5c-0000-7000-8000-000000000000"}, "invalid-request"),
        ({"is_staff": True}, "invalid-request"),
    ],
)
async def test_bad_input_is_a_problem_and_writes_nothing(
    client: httpx.AsyncClient, rows: Callable[..., Any], change: dict[str, Any], code: str
) -> None:
    answer = await client.post("/v1/auth/register", json=GOOD | change)
    assert (answer.status_code, problem_code(answer)) == (422, code)
    assert await rows("SELECT 1 FROM users UNION ALL SELECT 1 FROM outbox") == []


async def test_lone_surrogate_and_broken_json_are_problems(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    surrogate = b'{"email": "anna@example.com", "password": "correct horse", "full_name": "\\ud800"}'
    answer = await client.post("/v1/auth/register", content=surrogate, headers=headers)
    assert (answer.status_code, problem_code(answer)) == (422, "invalid-request")
    answer = await client.post("/v1/auth/register", content=b"{", headers=headers)
    assert (answer.status_code, problem_code(answer)) == (400, "malformed-request")


async def test_secrets_are_not_repeated_in_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/auth/register", json={"email": "secret-address", "password": "s3cr3t!"})
    assert answer.status_code == 422
    assert "s3cr3t!" not in answer.text
    assert "secret-address" not in answer.text


async def test_one_address_may_not_register_without_end(make_app: Callable[..., FastAPI]) -> None:
    app = make_app(register_limit="3/hour")
    async with client_of(app, "203.0.113.5") as one, client_of(app, "203.0.113.6") as other:
        codes = [
            (await one.post("/v1/auth/register", json=GOOD | {"email": f"u{n}@example.com"})).status_code
            for n in range(4)
        ]
        refused = await one.post("/v1/auth/register", json=GOOD | {"email": "u9@example.com"})
        elsewhere = await other.post("/v1/auth/register", json=GOOD | {"email": "u9@example.com"})
    assert codes == [201, 201, 201, 429]
    assert problem_code(refused) == "too-many-attempts"
    assert int(refused.headers["retry-after"]) > 0
    assert elsewhere.status_code == 201


async def test_production_counts_ten_registrations_an_hour(make_settings: Callable[..., Any]) -> None:
    assert make_settings(app_env="production").registrations_per_ip == "10/hour"
