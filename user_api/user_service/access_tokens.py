"""Makes access tokens (EdDSA JWT, RFC 9068) and publishes the keys they are verified with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import jwt
from jwt import PyJWK

from shared.auth import ALGORITHM, ISSUER, TOKEN_TYPE
from shared.clock import Clock
from shared.ids import new_id
from shared.keys import SigningKey

AUDIENCE: Final = ("user-api", "billing-api", "pay-api")
LIFETIME_SECONDS: Final = 600


class AccessTokens:
    """Signs with the newest key; every key of the directory is published and accepted."""

    def __init__(self, keys: Sequence[SigningKey], clock: Clock) -> None:
        self._signing = keys[-1]
        self._public = {key.kid: PyJWK(key.as_jwk(), algorithm=ALGORITHM) for key in keys}
        self._clock = clock
        self.jwks: dict[str, Any] = {"keys": [key.as_jwk() for key in keys]}

    @property
    def signing_key(self) -> SigningKey:
        """The key that signs now."""
        return self._signing

    def issue(self, user_id: UUID, family_id: UUID, epoch: int) -> str:
        """An access token of ``LIFETIME_SECONDS`` for a user's session."""
        issued_at = int(self._clock.now().timestamp())
        claims = {
            "iss": ISSUER,
            "sub": str(user_id),
            "aud": list(AUDIENCE),
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + LIFETIME_SECONDS,
            "jti": str(new_id()),
            "fam": str(family_id),
            "epoch": epoch,
        }
        headers = {"typ": TOKEN_TYPE, "kid": self._signing.kid}
        return jwt.encode(claims, self._signing.private, algorithm=ALGORITHM, headers=headers)

    def public_key(self, kid: str) -> PyJWK | None:
        """The key UserAPI's own verifier uses; no HTTP to itself."""
        return self._public.get(kid)
