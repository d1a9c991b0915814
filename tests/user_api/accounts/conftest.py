"""Actors of the account tests: people who register, and what the outbox tells about them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

PASSWORD = "correct horse battery"


class Person:
    """A client of the app with its own tokens."""

    def __init__(self, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        self.client = client
        self.id: str = body["user"]["id"]
        self.email: str = body["user"]["email"]
        self.take(body)

    def take(self, tokens: dict[str, Any]) -> None:
        self.access: str = tokens["access_token"]
        self.refresh_token: str = tokens["refresh_token"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path, headers=self.headers)

    async def refresh(self, token: str | None = None) -> httpx.Response:
        return await self.client.post("/v1/auth/refresh", json={"refresh_token": token or self.refresh_token})

    async def log_in(self, password: str = PASSWORD) -> httpx.Response:
        return await self.client.post("/v1/auth/login", json={"email": self.email, "password": password})


Register = Callable[..., Awaitable[Person]]


@pytest.fixture
def register(client: httpx.AsyncClient) -> Register:
    """``await register("anna@example.com", locale="en")``"""

    async def go(email: str = "anna@example.com", **fields: Any) -> Person:
        answer = await client.post("/v1/auth/register", json={"email": email, "password": PASSWORD, **fields})
        assert answer.status_code == 201, answer.text
        return Person(client, answer.json())

    return go


@pytest.fixture
def events(rows: Callable[..., Any]) -> Callable[[str], Awaitable[list[dict[str, Any]]]]:
    """The envelopes of a user in the outbox, in order."""

    async def read(user_id: str) -> list[dict[str, Any]]:
        found = await rows(
            "SELECT envelope FROM outbox WHERE aggregate_type = 'user' AND aggregate_id = $1::uuid"
            " ORDER BY id",
            user_id,
        )
        return [json.loads(row["envelope"]) for row in found]

    return read


def problem_code(answer: httpx.Response) -> str:
    """The code of a problem; fails when the answer is none."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).removeprefix("/problems/")
