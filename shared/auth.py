"""Who is calling: verifies end-user access tokens (EdDSA, JWKS) and service credentials."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx
import jwt
from jwt import PyJWK
from pydantic import SecretStr

from shared.clock import Clock
from shared.errors import AppError, unauthenticated, unavailable

ALGORITHM: Final = "EdDSA"
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - RFC 9068's media type, not a secret
ISSUER: Final = "cinema-user-api"
MAX_TOKEN_BYTES: Final = 4096
LEEWAY_SECONDS: Final = 30
REQUIRED_CLAIMS: Final = ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "fam", "epoch")


@dataclass(frozen=True, slots=True)
class EndUser:
    """A verified end user: id, refresh family (session) and token epoch."""

    user_id: UUID
    family_id: UUID
    epoch: int
    expires_at_seconds: int


@dataclass(frozen=True, slots=True)
class Service:
    """A verified calling service or operator."""

    name: str


class JwksKeys:
    """The public keys of UserAPI by ``kid``; fetched when an unknown one appears, at most every few seconds.

    Thread safe. Keys that UserAPI no longer lists are dropped at the next refresh.
    """

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], Mapping[str, Any]] | None = None,
        refresh_seconds: float = 300,
        least_gap_seconds: float = 3,
    ) -> None:
        self._url = url
        self._fetch = fetch or _fetch_json
        self._refresh_seconds = refresh_seconds
        self._least_gap_seconds = least_gap_seconds
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = threading.Lock()

    def __call__(self, kid: str) -> PyJWK | None:
        now = time.monotonic()
        stale = now - self._fetched_at > self._refresh_seconds
        if (stale or kid not in self._keys) and now - self._tried_at > self._least_gap_seconds:
            with self._lock:
                if now - self._tried_at > self._least_gap_seconds:
                    self._refresh(now)
        if not self._keys:
            raise unavailable("keys-unavailable", "The public keys cannot be had just now.")
        return self._keys.get(kid)

    def _refresh(self, now: float) -> None:
        self._tried_at = now
        try:
            document = self._fetch(self._url)
        except (httpx.HTTPError, ValueError):
            return  # the known keys go on serving
        self._keys = {
            key["kid"]: PyJWK(key, algorithm=ALGORITHM)
            for key in document.get("keys", [])
            if key.get("kty") == "OKP" and key.get("crv") == "Ed25519" and "kid" in key
        }
        self._fetched_at = now


def _fetch_json(url: str) -> Mapping[str, Any]:
    response = httpx.get(url, timeout=2, follow_redirects=False)
    response.raise_for_status()
    body = response.json()
    if not isinstance(body, dict):
        raise ValueError("not a JWKS document")
    return body


class EndUserVerifier:
    """Verifies access tokens for one audience. Revocation is the caller's further check."""

    def __init__(self, audience: str, keys: Callable[[str], PyJWK | None], clock: Clock) -> None:
        self._audience = audience
        self._keys = keys
        self._clock = clock

    def verify(self, token: str) -> EndUser:
        """Raises ``token-invalid`` (401) without saying why; only ``token-expired`` is told."""
        refusal = unauthenticated("token-invalid", "The access token is not valid.")
        if not token or len(token) > MAX_TOKEN_BYTES or not token.isascii() or token.count(".") != 2:
            raise refusal
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") != TOKEN_TYPE or header.get("alg") != ALGORITHM or "crit" in header:
                raise refusal
            kid = header.get("kid")
            key = self._keys(kid) if isinstance(kid, str) else None
            if key is None:
                raise refusal
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=ISSUER,
                # Times are checked below against the suite's clock, not the host's.
                options={
                    "require": list(REQUIRED_CLAIMS),
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise refusal from error
        return self._user(claims, refusal)

    def _user(self, claims: Mapping[str, Any], refusal: AppError) -> EndUser:
        times = [claims["exp"], claims["nbf"], claims["iat"], claims["epoch"]]
        if any(type(value) is not int or not 0 <= value < 2**40 for value in times):
            raise refusal
        now = int(self._clock.now().timestamp())
        if now >= claims["exp"]:
            raise unauthenticated("token-expired", "The access token has expired.")
        if max(claims["nbf"], claims["iat"]) > now + LEEWAY_SECONDS:
            raise refusal
        try:
            return EndUser(UUID(claims["sub"]), UUID(claims["fam"]), claims["epoch"], claims["exp"])
        except (ValueError, AttributeError, TypeError) as error:
            raise refusal from error


def bearer(header: str | None) -> str:
    """The credential of an ``Authorization: Bearer`` header; raises ``unauthenticated`` without one."""
    scheme, _, credential = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not credential or " " in credential:
        raise unauthenticated()
    return credential


class ServiceVerifier:
    """Knows the callers a service accepts; each has one credential, or two while it is being rotated."""

    def __init__(self, accepted: Mapping[str, Sequence[SecretStr]]) -> None:
        self._accepted = [
            (name, secret.get_secret_value().encode())
            for name, secrets in accepted.items()
            for secret in secrets
        ]

    def verify(self, header: str | None) -> Service:
        """Raises ``unauthenticated`` (401) unless the bearer credential is one of the accepted."""
        given = bearer(header).encode()
        caller: str | None = None
        for name, secret in self._accepted:  # all are compared: the time taken says nothing
            if secret and hmac.compare_digest(given, secret):
                caller = name
        if caller is None:
            raise unauthenticated("credential-invalid", "This service credential is not accepted here.")
        return Service(caller)
