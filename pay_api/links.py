"""Signed links to the pages of one payment: HMAC, expiring, one purpose each."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.clock import Clock

_SIGNATURE_LENGTH: Final = 43


class Purpose(StrEnum):
    """What a link may be used for: the address the bank sees cannot read the payment's events."""

    CHECKOUT = "checkout"
    EVENTS = "events"
    THREEDS = "3ds"
    THREEDS_RETURN = "3ds-return"


LIFETIME: Final[dict[Purpose, timedelta]] = {
    Purpose.CHECKOUT: timedelta(hours=24),
    Purpose.EVENTS: timedelta(hours=24),
    Purpose.THREEDS: timedelta(hours=1),
    Purpose.THREEDS_RETURN: timedelta(hours=1),
}


class Links:
    """Makes and checks the addresses a payer's browser is given."""

    def __init__(self, pages_url: str, key: str, clock: Clock) -> None:
        self._pages_url = pages_url.rstrip("/")
        self._key = hashlib.sha256(b"payment-links:" + key.encode()).digest()
        self._clock = clock

    def url(self, payment_id: UUID, purpose: Purpose, until: datetime | None = None) -> str:
        """The whole address with its token; fit for a browser, never for a log. ``until``: lives so long."""
        expires = int((until or self._clock.now() + LIFETIME[purpose]).timestamp())
        token = f"{expires}.{self._signature(payment_id, purpose, expires)}"
        checkout = purpose is Purpose.CHECKOUT
        path = f"checkout/{payment_id}" if checkout else f"v1/payments/{payment_id}/{purpose}"
        return f"{self._pages_url}/{path}?token={token}"

    def allows(self, token: str, payment_id: UUID, purpose: Purpose) -> bool:
        """Whether the token was made for this payment and purpose and has not expired."""
        expires, _, signature = token.partition(".")
        if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
            return False
        if len(signature) != _SIGNATURE_LENGTH or not signature.isascii():
            return False
        good = hmac.compare_digest(signature, self._signature(payment_id, purpose, int(expires)))
        return good and int(expires) > self._clock.now().timestamp()

    def _signature(self, payment_id: UUID, purpose: Purpose, expires: int) -> str:
        message = f"{payment_id}|{purpose}|{expires}".encode()
        digest = hmac.new(self._key, message, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
