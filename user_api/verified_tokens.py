"""Remembers access tokens that were verified, so that a signature is checked once only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import jwt
from jwt import PyJWK

from shared.auth import EndUser, EndUserVerifier
from shared.clock import Clock

MOST_TOKENS: Final = 20_000  # under 1 KB each


class VerifiedTokens:
    """``EndUserVerifier`` with a memory; the same refusals, raised by the verifier itself.

    Of a remembered token everything that may change is checked again: whether it has expired, and whether
    its key still stands. Epoch and ended sessions are the caller's further check, as ever.
    """

    def __init__(
        self, verifier: EndUserVerifier, public_key: Callable[[str], PyJWK | None], clock: Clock
    ) -> None:
        self._verifier = verifier
        self._public_key = public_key
        self._clock = clock
        self._known: dict[str, tuple[EndUser, str, datetime]] = {}

    def verify(self, token: str) -> EndUser:
        """Raises ``token-invalid`` or ``token-expired`` (401)."""
        known = self._known.get(token)
        if known is not None:
            user, kid, ends_at = known
            if self._clock.now() < ends_at and self._public_key(kid) is not None:
                return user
            del self._known[token]
        user = self._verifier.verify(token)
        if len(self._known) >= MOST_TOKENS:
            del self._known[next(iter(self._known))]  # the first remembered is the first to expire
        kid = jwt.get_unverified_header(token)["kid"]
        self._known[token] = user, kid, datetime.fromtimestamp(user.expires_at_seconds, UTC)
        return user
