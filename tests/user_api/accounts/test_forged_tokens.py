"""Forged access tokens (RFC 8725): every one is refused by every route that needs a user."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from shared import keys
from shared.clock import ManualClock
from tests.user_api.accounts.conftest import Register, problem_code
from tests.user_api.conftest import client_of
from user_api.user_service import access_tokens

Claims = dict[str, Any]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Forge:
    """Makes tokens that differ from a good one in a single thing."""

    def __init__(self, key: keys.SigningKey, good: str) -> None:
        self.key = key
        self.good = good
        self.claims: Claims = jwt.decode(good, options={"verify_signature": False})
        self.header: Claims = jwt.get_unverified_header(good)

    def sign(self, claims: Claims | bytes, header: Claims | None = None, key: Any = None) -> str:
        """Signs any header and payload with EdDSA, without PyJWT's own checks."""
        body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        start = f"{b64(json.dumps(self.header | (header or {})).encode())}.{b64(body)}"
        return f"{start}.{b64((key or self.key.private).sign(start.encode()))}"

    def without(self, name: str) -> str:
        return self.sign({k: v for k, v in self.claims.items() if k != name})

    def with_claims(self, **changes: Any) -> str:
        return self.sign(self.claims | changes)

    def with_header(self, **changes: Any) -> str:
        return self.sign(self.claims, changes)

    def unsigned(self, algorithm: str) -> str:
        header = b64(json.dumps(self.header | {"alg": algorithm}).encode())
        return f"{header}.{b64(json.dumps(self.claims).encode())}."

    def hmac_with_public_key(self) -> str:
        public = self.key.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        header = b64(json.dumps(self.header | {"alg": "HS256"}).encode())
        start = f"{header}.{b64(json.dumps(self.claims).encode())}"
        return f"{start}.{b64(hmac.new(public, start.encode(), hashlib.sha256).digest())}"

    def other_curve(self) -> str:
        other = ec.generate_private_key(ec.SECP256R1())
        return jwt.encode(self.claims, other, algorithm="ES256", headers=self.header | {"alg": "ES256"})

    def own_key(self) -> str:
        return self.sign(self.claims, key=Ed25519PrivateKey.generate())

    def own_key_in_header(self) -> str:
        own = keys.SigningKey("mine", Ed25519PrivateKey.generate())
        return self.sign(self.claims, {"jwk": own.as_jwk(), "kid": "mine"}, own.private)

    def payload_swapped(self) -> str:
        header, _, signature = self.good.split(".")
        return f"{header}.{b64(json.dumps(self.claims | {'sub': str(uuid4())}).encode())}.{signature}"

    def json_form(self) -> str:
        header, payload, signature = self.good.split(".")
        return json.dumps({"protected": header, "payload": payload, "signature": signature})

    def no_signature(self) -> str:
        return self.good.rsplit(".", 1)[0] + "."


FORGERIES: dict[str, Callable[[Forge], str]] = {
    "alg none": lambda f: f.unsigned("none"),
    "alg None": lambda f: f.unsigned("None"),
    "alg noNE": lambda f: f.unsigned("noNE"),
    "HS256 with the public key": Forge.hmac_with_public_key,
    "another curve": Forge.other_curve,
    "empty signature": Forge.no_signature,
    "two parts": lambda f: f.good.rsplit(".", 1)[0],
    "another key under our kid": Forge.own_key,
    "a key of its own in the header": Forge.own_key_in_header,
    "jku": lambda f: f.sign(f.claims, {"jku": "http://127.0.0.1:1/jwks.json", "kid": "theirs"}),
    "unknown kid": lambda f: f.with_header(kid="k-unknown"),
    "kid is a path": lambda f: f.with_header(kid="../../../../dev/null"),
    "kid is SQL": lambda f: f.with_header(kid="' OR 1=1 --"),
    "kid is a number": lambda f: f.with_header(kid=7),
    "no kid": lambda f: f.with_header(kid=None),
    "payload swapped": Forge.payload_swapped,
    "typ JWT": lambda f: f.with_header(typ="JWT"),
    "typ of a refresh token": lambda f: f.with_header(typ="rt+jwt"),
    "crit": lambda f: f.with_header(crit=["b64"], b64=False),
    "another issuer": lambda f: f.with_claims(iss="cinema-billing-api"),
    "another audience": lambda f: f.with_claims(aud=["admin-panel"]),
    "audience like ours": lambda f: f.with_claims(aud="user-api.example.com"),
    "expired": lambda f: f.with_claims(exp=f.claims["iat"]),
    "not valid yet": lambda f: f.with_claims(nbf=f.claims["iat"] + 3600),
    "issued in the future": lambda f: f.with_claims(iat=f.claims["iat"] + 3600),
    "exp is text": lambda f: f.with_claims(exp=str(f.claims["exp"])),
    "exp is a float": lambda f: f.with_claims(exp=f.claims["exp"] + 0.5),
    "exp is negative": lambda f: f.with_claims(exp=-1),
    "exp is infinite": lambda f: f.with_claims(exp=1e400),
    "exp overflows": lambda f: f.with_claims(exp=10**30),
    "sub is no UUID": lambda f: f.with_claims(sub="admin"),
    "sub is a list": lambda f: f.with_claims(sub=[f.claims["sub"]]),
    "epoch is true": lambda f: f.with_claims(epoch=True),
    "payload is a list": lambda f: f.sign(b"[]"),
    "payload is not UTF-8": lambda f: f.sign(b"\xff\xfe{}"),
    "payload nests 10,000 deep": lambda f: f.sign(b"[" * 1000 + b"]" * 1000),
    "100 KB": lambda f: f.with_claims(padding="x" * 100_000),
    "JSON serialization": Forge.json_form,
    "trailing dot": lambda f: f.good + ".",
    "leading blank": lambda f: " " + f.good,
    "braces": lambda f: "{" + f.good + "}",
    "empty": lambda f: "",
    **{
        f"without {name}": (lambda f, name=name: f.without(name))  # type: ignore[misc]
        for name in ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "fam", "epoch")
    },
}


@pytest.fixture
async def forge(register: Register, jwt_keys_dir: Path) -> Forge:
    anna = await register()
    return Forge(keys.load(jwt_keys_dir)[-1], anna.access)


def protected_routes(app: FastAPI) -> list[tuple[str, str]]:
    """Operations under /v1 that are not public, from the app's own OpenAPI."""
    public = {"/v1/auth/register", "/v1/auth/login", "/v1/auth/refresh", "/v1/auth/logout"}
    public |= {"/v1/auth/password-resets", "/v1/auth/password-resets/complete"}
    public |= {"/v1/auth/email-confirmations/complete"}
    found = []
    for path, operations in app.openapi()["paths"].items():
        if path in public or not (path.startswith("/v1/me") or path.startswith("/v1/auth")):
            continue
        found += [(method.upper(), path) for method in operations]
    return found


async def test_the_forge_itself_makes_good_tokens(client: httpx.AsyncClient, forge: Forge) -> None:
    """Otherwise every refusal below would prove nothing."""
    for token in (forge.good, forge.sign(forge.claims)):
        answer = await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200


async def test_forged_tokens_are_refused(client: httpx.AsyncClient, forge: Forge) -> None:
    answers = {
        name: await client.get("/v1/me", headers={"Authorization": f"Bearer {make(forge)}"})
        for name, make in FORGERIES.items()
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(FORGERIES, 401)
    codes = {name: problem_code(answer) for name, answer in answers.items()}
    told = {name for name, code in codes.items() if code not in ("token-invalid", "unauthenticated")}
    assert told <= {"expired", "exp is negative"}, codes
    assert all(answer.headers["www-authenticate"] == "Bearer" for answer in answers.values())


async def test_every_protected_route_refuses(app: FastAPI, client: httpx.AsyncClient, forge: Forge) -> None:
    routes = protected_routes(app)
    assert {("GET", "/v1/me"), ("PATCH", "/v1/me"), ("GET", "/v1/auth/sessions")} <= set(routes)
    bad = [{}, {"Authorization": "Basic YTpi"}, {"Authorization": f"bearer {forge.unsigned('none')}"}]
    bad += [{"Authorization": f"Bearer {forge.own_key()}"}, {"Authorization": "Bearer operator-credential"}]
    for method, path in routes:
        for headers in bad:
            address = path.replace("{", "").replace("}", "")
            for name in ("session_id", "subscription_id", "payment_id", "invoice_id", "product_id"):
                address = address.replace(name, str(uuid4()))
            given = headers | {"Idempotency-Key": "k"}
            answer = await client.request(method, address, headers=given, json={})
            assert answer.status_code == 401, f"{method} {path} {headers}: {answer.status_code}"


async def test_refresh_token_is_no_access_token(register: Register) -> None:
    anna = await register("boris@example.com")
    headers = {"Authorization": f"Bearer {anna.refresh_token}"}
    assert (await anna.client.get("/v1/me", headers=headers)).status_code == 401
    assert (await anna.client.post("/v1/auth/refresh", json={"refresh_token": anna.access})).status_code in (
        401,
        422,
    )


async def test_older_epoch_and_ended_family_are_refused(
    client: httpx.AsyncClient, forge: Forge, rows: Callable[..., Any]
) -> None:
    stale = forge.with_claims(epoch=0)
    future = forge.with_claims(epoch=2)
    for token in (stale, future):
        answer = await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, problem_code(answer)) == (401, "session-ended")


async def test_a_key_is_published_before_it_signs_and_no_replica_restarts(
    make_app: Callable[..., FastAPI], tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two replicas over one directory, as a rolling restart leaves them: each takes the other's tokens."""
    host = ManualClock(datetime.now(UTC))
    monkeypatch.setattr(access_tokens, "SystemClock", lambda: host)
    monkeypatch.setattr(access_tokens, "LOOK_AGAIN_SECONDS", 0.0)
    old = keys.create(tmp_path)
    apps = [make_app(jwt_keys_dir=tmp_path)]
    await asyncio.sleep(0.002)  # ids order keys by the millisecond
    new = keys.create(tmp_path)
    apps.append(make_app(jwt_keys_dir=tmp_path))  # started after the rotation, the other before it
    replicas = [app.state.resources for app in apps]
    user, family = uuid4(), uuid4()

    def issue() -> list[str]:
        tokens = [one.access_tokens.issue(user, family, 1) for one in replicas]
        for token in tokens:
            assert [one.end_users.verify(token).user_id for one in replicas] == [user, user]
        return tokens

    async def published(app: FastAPI) -> set[str]:
        async with client_of(app) as http:
            return {key["kid"] for key in (await http.get("/.well-known/jwks.json")).json()["keys"]}

    def signed_by(tokens: list[str]) -> set[str]:
        return {jwt.get_unverified_header(token)["kid"] for token in tokens}

    early = issue()
    assert signed_by(early) == {old.kid}
    assert [await published(app) for app in apps] == [{old.kid, new.kid}] * 2
    host.advance(keys.PUBLISHED_FIRST + timedelta(seconds=1))
    late = issue()
    assert signed_by(late) == {new.kid}
    assert [one.end_users.verify(token).user_id for one in replicas for token in early] == [user] * 4
    (tmp_path / f"{old.kid}.pem").unlink()
    for one in replicas:
        assert one.end_users.verify(late[0]).user_id == user
        with pytest.raises(Exception, match="token-invalid"):
            one.end_users.verify(early[0])


async def test_keys_that_cannot_be_read_leave_those_that_were(
    make_app: Callable[..., FastAPI], tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_tokens, "LOOK_AGAIN_SECONDS", 0.0)
    first = keys.create(tmp_path)  # signs at once: nothing older is there
    tokens = make_app(jwt_keys_dir=tmp_path).state.resources.access_tokens
    (tmp_path / "kbroken.pem").write_text("not a key")
    assert tokens.signing_key.kid == first.kid
    (tmp_path / "kbroken.pem").unlink()
    (tmp_path / f"{first.kid}.pem").unlink()
    assert tokens.public_key(first.kid) is not None


async def test_a_token_holds_ten_minutes_at_most(forge: Forge) -> None:
    assert timedelta(seconds=forge.claims["exp"] - forge.claims["iat"]) <= timedelta(minutes=10)
    assert forge.claims["aud"] == ["user-api", "billing-api", "pay-api"]
    assert forge.header == {"alg": "EdDSA", "typ": "at+jwt", "kid": forge.key.kid}


def test_the_pack_is_large_enough() -> None:
    assert len(FORGERIES) >= 36
