"""Nothing a person would not want read stands in the logs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi import FastAPI

from shared.clock import ManualClock
from tests.user_api.conftest import client_of


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
