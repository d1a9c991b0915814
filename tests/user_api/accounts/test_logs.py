"""Nothing a person would not want read stands in the logs; what touches security does."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from shared.clock import ManualClock
from tests.user_api.conftest import CREDENTIALS, client_of
from user_api.user_service.throttle_login import FREE_FAILURES


async def test_no_contact_password_or_token_is_logged(
    make_app: Callable[..., FastAPI], clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger().handlers.clear()
    app = make_app(log_level="DEBUG")  # the log handler takes the captured stdout
    secrets = ["canary.person@example.com", "canary password", "+79161234567", "Канарейкина"]
    body = {"email": secrets[0], "password": secrets[1], "phone": secrets[2], "full_name": secrets[3]}
    async with client_of(app) as client:
        tokens = (await client.post("/v1/auth/register", json=body)).json()
        secrets += [tokens["access_token"], tokens["refresh_token"]]
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        await client.post("/v1/auth/register", json=body)
        await client.post("/v1/auth/login", json={"email": secrets[0], "password": "canary wrong one"})
        await client.post("/v1/auth/login", json={"email": "canary", "password": "canary wrong one"})
        await client.get("/v1/me", headers=headers)
        await client.patch("/v1/me", json={"phone": "canary"}, headers=headers)
        fresh = (await client.post("/v1/auth/refresh", json={"refresh_token": secrets[5]})).json()
        secrets += [fresh["refresh_token"], "canary"]
        clock.advance(timedelta(seconds=6))
        await client.post("/v1/auth/refresh", json={"refresh_token": secrets[5]})
        await client.post("/v1/auth/logout", json={"refresh_token": "canary-token"})
    written = capsys.readouterr()
    logged = written.out + written.err
    assert logged.count('"event": "request"') >= 9  # the capture works
    assert "refresh-token-reused" in logged
    assert [secret for secret in secrets if secret in logged] == []


async def test_every_security_event_is_logged_once_with_who_and_why(
    make_app: Callable[..., FastAPI], clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger().handlers.clear()
    app = make_app(log_level="INFO")

    def logged() -> list[dict[str, Any]]:
        """The events written since the last look, without the plain lines of requests."""
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
        kept = ("event", "user_id", "family_id", "code", "status", "route", "method")
        return [
            {name: line[name] for name in kept if name in line}
            for line in lines
            if line["event"].startswith(("login", "refresh-token", "access-"))
        ]

    def refused(code: str, method: str, route: str) -> dict[str, Any]:
        return {"event": "access-refused", "code": code, "method": method, "route": route}

    person = {"email": "anna@example.com", "password": "correct horse battery"}
    wrong = person | {"password": "a wrong guess"}
    operator = {"Authorization": f"Bearer {CREDENTIALS['operator'][0]}", "Idempotency-Key": "1"}
    async with client_of(app) as client:

        async def login(body: dict[str, str]) -> int:
            return (await client.post("/v1/auth/login", json=body)).status_code

        joined = (await client.post("/v1/auth/register", json=person)).json()
        user_id = joined["user"]["id"]
        logged()

        assert await login(person) == 200
        assert logged() == [{"event": "login-succeeded", "user_id": user_id}]

        not_in = refused("credentials-invalid", "POST", "/v1/auth/login")
        assert await login(wrong) == 401
        assert logged() == [{"event": "login-failed", "user_id": user_id}, not_in]
        assert await login(wrong | {"email": "nobody@example.com"}) == 401
        assert logged() == [{"event": "login-failed", "user_id": None}, not_in]

        for _ in range(FREE_FAILURES):
            await login(wrong)
        logged()
        assert await login(wrong) == 429
        assert logged() == [refused("too-many-attempts", "POST", "/v1/auth/login")]
        clock.advance(timedelta(minutes=15))

        old = {"refresh_token": joined["refresh_token"]}
        assert (await client.post("/v1/auth/refresh", json=old)).status_code == 200
        clock.advance(timedelta(seconds=6))
        logged()
        assert (await client.post("/v1/auth/refresh", json=old)).status_code == 401
        reused, answered = logged()
        assert (reused["event"], reused["user_id"]) == ("refresh-token-reused", user_id)
        assert reused["family_id"]
        assert answered["event"] == "access-refused"

        assert (await client.get("/v1/me")).status_code == 401
        assert logged() == [refused("unauthenticated", "GET", "/v1/me")]
        stranger = operator | {"Authorization": f"Bearer {CREDENTIALS['pay-api'][0]}"}
        block = f"/internal/v1/users/{user_id}/block"
        answer = await client.post(block, json={"reason": "a test"}, headers=stranger)
        assert answer.status_code == 403
        assert logged() == [refused("forbidden", "POST", "/internal/v1/users/{user_id}/block")]

        answer = await client.post(block, json={"reason": "a test"}, headers=operator)
        assert answer.status_code == 200
        logged()
        assert await login(person) == 403
        assert logged() == [
            {"event": "login-refused", "user_id": user_id, "status": "blocked"},
            refused("account-blocked", "POST", "/v1/auth/login"),
        ]
