"""The three services side by side under one clock and one signing key, and every kind of caller."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import jwt
import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI
from pydantic import SecretStr

from pay_api.main import create_app as create_pay_app
from pay_api.pay_service.context import open_context
from pay_api.settings import Settings as PaySettings
from shared import keys
from shared.auth import ISSUER, TOKEN_TYPE, EndUserVerifier, JwksKeys, ServiceVerifier
from shared.clock import ManualClock
from shared.ids import new_id
from tests import servers
from tests.billing_api.conftest import billing as billing_rows  # noqa: F401
from tests.billing_api.conftest import set_up_billing
from tests.security.operations import Operation, operations
from tests.servers import DatabaseUrls
from tests.user_api.accounts.test_forged_tokens import Forge
from tests.user_api.commerce.conftest import (  # noqa: F401
    anna,
    app,
    billing,
    catalogue,
    deliver,
    handlers,
    pay,
    resources,
    sign_up,
)
from tests.user_api.conftest import (  # noqa: F401
    CREDENTIALS,
    as_service,
    client,
    clock,
    database,
    empty_redis,
    jwt_keys_dir,
    make_app,
    make_settings,
    rows,
    users_database,
    users_redis_url,
)

PAY_MIGRATE = ["alembic", "-c", "pay_api/alembic.ini", "upgrade", "head"]
OTHER_CALLEE = "credential-of-another-callee"


@dataclass
class Caller:
    """A user as tokens tell them; ``token(**changes)`` differs from a good one in those claims."""

    key: keys.SigningKey
    clock: ManualClock
    user_id: UUID = dataclasses.field(default_factory=new_id)
    family_id: UUID = dataclasses.field(default_factory=new_id)

    def token(self, **changes: Any) -> str:
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": ISSUER,
            "sub": str(self.user_id),
            "aud": ["user-api", "billing-api", "pay-api"],
            "fam": str(self.family_id),
            "epoch": 2,
            "jti": str(new_id()),
            "iat": now,
            "nbf": now,
            "exp": now + 600,
        } | changes
        headers = {"typ": TOKEN_TYPE, "kid": self.key.kid}
        return jwt.encode(claims, self.key.private, algorithm="EdDSA", headers=headers)


@dataclass
class Service:
    """One API: its operations, how to send to it, and the headers of every kind of caller."""

    name: str
    operations: list[Operation]
    send: Callable[..., Any]
    actors: dict[str, Callable[[], Any]]
    key: keys.SigningKey
    clock: ManualClock

    def forge(self) -> Forge:
        """Makes forged tokens of a user who exists."""
        return Forge(self.key, self.good_token())

    def good_token(self) -> str:
        return Caller(self.key, self.clock).token()


@pytest.fixture
def signing_key(jwt_keys_dir: Path) -> keys.SigningKey:  # noqa: F811
    return keys.load(jwt_keys_dir)[-1]


def refused_actors(own: str, key: keys.SigningKey, at: ManualClock) -> dict[str, str | None]:
    """Callers nobody lets in, by their Authorization."""
    caller = Caller(key, at)
    others = [name for name in ("user-api", "billing-api", "pay-api") if name != own]
    past = int((at.now() - timedelta(seconds=1)).timestamp())
    return {
        "none": None,
        "nonsense": "Bearer nonsense",
        "basic": "Basic b3BlcmF0b3I6b3BlcmF0b3I=",
        "expired": f"Bearer {caller.token(exp=past)}",
        "token for other services": f"Bearer {caller.token(aud=others)}",
        "credential of another callee": f"Bearer {OTHER_CALLEE}",
    }


Database = Callable[..., Awaitable[Any]]


async def add_user(connection: asyncpg.Connection, user_id: UUID, status: str, at: Any) -> None:
    await connection.execute(
        "INSERT INTO users (id, email, email_normalized, password_hash, locale, time_zone, status,"
        " token_epoch, password_changed_at, created_at, updated_at)"
        " VALUES ($1, $2, $2, '-', 'ru', 'Europe/Moscow', $3, 2, $4, $4, $4)",
        user_id,
        f"{user_id}@example.com",
        status,
        at,
    )


@pytest.fixture
async def user_service(
    app: FastAPI,  # noqa: F811
    client: httpx.AsyncClient,  # noqa: F811
    database: DatabaseUrls,  # noqa: F811
    signing_key: keys.SigningKey,
    clock: ManualClock,  # noqa: F811
) -> AsyncIterator[Service]:
    """UserAPI; every live caller is somebody new, for operations that end sessions or accounts."""
    connection = await asyncpg.connect(database.owner)

    async def someone(status: str = "active", revoked: bool = False, **changes: Any) -> str:
        caller = Caller(signing_key, clock)
        await add_user(connection, caller.user_id, status, clock.now())
        if revoked:
            await connection.execute(
                "INSERT INTO revoked_sessions VALUES ($1, $2, 2, 'test', $3, $3)",
                caller.family_id,
                caller.user_id,
                clock.now(),
            )
        return f"Bearer {caller.token(**changes)}"

    actors: dict[str, Any] = {
        name: (lambda given=given: given)
        for name, given in refused_actors("user-api", signing_key, clock).items()
    }
    actors |= {
        "ended session": lambda: someone(revoked=True),
        "older epoch": lambda: someone(epoch=1),
        "blocked": lambda: someone("blocked"),
        "user": someone,
        "service": lambda: "Bearer billing-api-credential",
        "operator": lambda: "Bearer operator-credential",
    }
    yield Service("UserAPI", operations(app.openapi()), client.request, actors, signing_key, clock)
    await connection.close()


@pytest.fixture(scope="session")
def pay_database() -> DatabaseUrls:
    return servers.create_database("pay", migrate=PAY_MIGRATE)


@pytest.fixture
async def pay_service(
    pay_database: DatabaseUrls,
    signing_key: keys.SigningKey,
    clock: ManualClock,  # noqa: F811
) -> AsyncIterator[Service]:
    """PayAPI without a provider behind it."""
    nowhere = f"http://127.0.0.1:{servers.free_port()}"
    settings = PaySettings(
        app_env="test",
        log_level="ERROR",
        database_url=pay_database.service,
        cloudpayments_api_url=nowhere,
        token_encryption_key=Fernet.generate_key().decode(),
        link_signing_key="link-key-of-the-tests",
        accepted_credentials={"user-api": ["user-api-credential"], "operator": ["operator-credential"]},
    )
    made = create_pay_app(settings, open_context(settings, clock))
    jwks = JwksKeys("http://unused", fetch=lambda _: {"keys": [signing_key.as_jwk()]})
    verifier = EndUserVerifier("pay-api", jwks, clock)
    made.state.edge = dataclasses.replace(made.state.edge, end_users=verifier)
    actors: dict[str, Any] = {
        name: (lambda given=given: given)
        for name, given in refused_actors("pay-api", signing_key, clock).items()
    }
    # PayAPI knows nothing of sessions and accounts: a token of an ended one is good there until it runs out,
    # for pages of the payments of its own user alone (docs/security.md).
    actors |= {
        "ended session": lambda: f"Bearer {Caller(signing_key, clock).token()}",
        "older epoch": lambda: f"Bearer {Caller(signing_key, clock).token(epoch=1)}",
        "blocked": lambda: f"Bearer {Caller(signing_key, clock).token()}",
        "user": lambda: f"Bearer {Caller(signing_key, clock).token()}",
        "service": lambda: "Bearer user-api-credential",
        "operator": lambda: "Bearer operator-credential",
    }
    transport = httpx.ASGITransport(made, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://pay-api") as http:
        yield Service("PayAPI", operations(made.openapi()), http.request, actors, signing_key, clock)
    await made.state.edge.ctx.aclose()


@pytest.fixture(scope="session")
def billing_database() -> DatabaseUrls:
    return set_up_billing()


@pytest.fixture
def billing_service(
    billing_rows: DatabaseUrls,  # noqa: F811
    signing_key: keys.SigningKey,
    clock: ManualClock,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Service:
    """BillingAPI in this process (its callers are synchronous: so are the tests of it)."""
    from django.test import Client

    from billing_api.billing_service.models import TokenState
    from billing_api.config import wiring

    jwks = JwksKeys("http://unused", fetch=lambda _: {"keys": [signing_key.as_jwk()]})
    users = EndUserVerifier("billing-api", jwks, clock)
    accepted = {"user-api": "user-api-credential", "operator": "operator-credential"}
    services = ServiceVerifier({name: [SecretStr(credential)] for name, credential in accepted.items()})
    monkeypatch.setattr(wiring, "clock", lambda: clock)
    monkeypatch.setattr(wiring, "end_users", lambda: users)
    monkeypatch.setattr(wiring, "services", lambda: services)
    django = Client(raise_request_exception=False)

    def send(method: str, path: str, headers: dict[str, str], json: Any = None, content: Any = None) -> Any:
        data = content if content is not None else ("" if json is None else dumps(json))
        return django.generic(method, path, data, content_type="application/json", headers=headers)

    def someone(blocked: bool = False, revoked: bool = False, **changes: Any) -> str:
        caller = Caller(signing_key, clock)
        TokenState.objects.create(
            user_id=caller.user_id,
            sequence=1,
            token_epoch=2,
            is_blocked=blocked,
            revoked_families=[str(caller.family_id)] if revoked else [],
            updated_at=clock.now(),
        )
        return f"Bearer {caller.token(**changes)}"

    actors: dict[str, Any] = {
        name: (lambda given=given: given)
        for name, given in refused_actors("billing-api", signing_key, clock).items()
    }
    actors |= {
        "ended session": lambda: someone(revoked=True),
        "older epoch": lambda: someone(epoch=1),
        "blocked": lambda: someone(blocked=True),
        "user": someone,
        "service": lambda: "Bearer user-api-credential",
        "operator": lambda: "Bearer operator-credential",
    }
    headers = {"Authorization": "Bearer operator-credential"}
    document = django.get("/openapi.json", headers=headers).json()
    return Service("BillingAPI", operations(document), send, actors, signing_key, clock)


def dumps(value: Any) -> str:
    return json.dumps(value)


def headers_of(authorization: str | None) -> dict[str, str]:
    """A fresh key each time: refusals must not come from the one before."""
    given = {"Idempotency-Key": str(uuid4())}
    return given | ({"Authorization": authorization} if authorization is not None else {})
