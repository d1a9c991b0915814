"""Callers of the API in tests: a signed-in user, services with credentials, a clock that stands still."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client
from pydantic import SecretStr

from billing_api.config import wiring
from shared.auth import ISSUER, TOKEN_TYPE, EndUserVerifier, JwksKeys, ServiceVerifier
from shared.clock import ManualClock
from shared.ids import new_id
from shared.keys import SigningKey
from tests.servers import DatabaseUrls

NOW = datetime(2026, 4, 11, 9, 0, tzinfo=UTC)
SERVICE_TOKEN = "user-api-calls-billing-api"
OPERATOR_TOKEN = "operator-calls-billing-api"
KEY = SigningKey("k1", Ed25519PrivateKey.generate())


@dataclass
class Callers:
    """Makes tokens and sends requests."""

    clock: ManualClock
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))
    user_id: UUID = field(default_factory=new_id)
    family_id: UUID = field(default_factory=new_id)

    def token(self, **changes: Any) -> str:
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": ISSUER,
            "sub": str(self.user_id),
            "aud": ["user-api", "billing-api", "pay-api"],
            "fam": str(self.family_id),
            "epoch": 1,
            "jti": str(new_id()),
            "iat": now,
            "nbf": now,
            "exp": now + 600,
        }
        return jwt.encode(
            claims | changes, KEY.private, algorithm="EdDSA", headers={"typ": TOKEN_TYPE, "kid": KEY.kid}
        )

    def me(self, path: str, **changes: Any) -> Any:
        return self.client.get(path, headers={"Authorization": f"Bearer {self.token(**changes)}"})

    def get(self, path: str, token: str = SERVICE_TOKEN) -> Any:
        return self.client.get(path, headers={"Authorization": f"Bearer {token}"})

    def post(self, path: str, body: Any = None, key: str | None = "-", token: str = SERVICE_TOKEN) -> Any:
        """``key="-"`` means a fresh one, None none at all."""
        headers = {"Authorization": f"Bearer {token}"}
        if key is not None:
            headers["Idempotency-Key"] = str(new_id()) if key == "-" else key
        data = body if isinstance(body, (str, bytes)) else json.dumps({} if body is None else body)
        return self.client.post(path, data, content_type="application/json", headers=headers)


@pytest.fixture
def callers(billing_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> Callers:
    """Callers of this process's Django; a test that writes asks for ``billing`` besides."""
    clock = ManualClock(NOW)
    keys = JwksKeys("http://unused", fetch=lambda _: {"keys": [KEY.as_jwk()]})
    users = EndUserVerifier("billing-api", keys, clock)
    services = ServiceVerifier(
        {
            "user-api": [SecretStr(SERVICE_TOKEN), SecretStr("the-next-one")],
            "operator": [SecretStr(OPERATOR_TOKEN)],
        }
    )
    monkeypatch.setattr(wiring, "clock", lambda: clock)
    monkeypatch.setattr(wiring, "end_users", lambda: users)
    monkeypatch.setattr(wiring, "services", lambda: services)
    return Callers(clock)


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)
