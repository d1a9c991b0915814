"""Makes access tokens (EdDSA JWT, RFC 9068) and publishes the keys they are verified with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import jwt
from jwt import PyJWK

from shared import keys, logs
from shared.auth import ALGORITHM, ISSUER, TOKEN_TYPE
from shared.clock import Clock, SystemClock
from shared.ids import new_id
from shared.keys import SigningKey

AUDIENCE: Final = ("user-api", "billing-api", "pay-api")
LIFETIME_SECONDS: Final = 600
LOOK_AGAIN_SECONDS: Final = 5.0

log = logs.logger(__name__)


class AccessTokens:
    """Every key of the directory is published and accepted; ``keys.signing_key`` is the one that signs.

    The directory is looked at again every ``LOOK_AGAIN_SECONDS``, so that keys come and go without a restart.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._looked_at = time.monotonic()
        self._take(keys.load(directory))

    @property
    def signing_key(self) -> SigningKey:
        """The key that signs now."""
        self._look_again()
        # Keys are made on the host's clock: moving the suite's ripens none.
        return keys.signing_key(self._keys, SystemClock().now())

    @property
    def jwks(self) -> dict[str, Any]:
        """The document that is published."""
        self._look_again()
        return {"keys": [key.as_jwk() for key in self._keys]}

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
        key = self.signing_key
        headers = {"typ": TOKEN_TYPE, "kid": key.kid}
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers=headers)

    def public_key(self, kid: str) -> PyJWK | None:
        """The key UserAPI's own verifier uses; no HTTP to itself."""
        self._look_again()
        return self._public.get(kid)

    def _look_again(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < LOOK_AGAIN_SECONDS:
            return
        self._looked_at = now
        try:
            if {path.stem for path in self._directory.glob("*.pem")} != self._public.keys():
                self._take(keys.load(self._directory))
        except (OSError, ValueError) as error:  # the keys held go on serving
            log.error("signing-keys-not-read", error=type(error).__name__)

    def _take(self, found: Sequence[SigningKey]) -> None:
        self._keys = found
        self._public = {key.kid: PyJWK(key.as_jwk(), algorithm=ALGORITHM) for key in found}
