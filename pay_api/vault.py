"""Keeps provider tokens and payer contacts encrypted at rest, and makes keyed card fingerprints."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Final

from cryptography.fernet import Fernet, MultiFernet

_FINGERPRINT: Final = b"card-fingerprint:"


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays, as far as the provider needs it."""

    email: str | None
    ip: str | None
    cardholder_name: str | None = None


class Vault:
    """``keys``: comma separated Fernet keys, the first encrypts, all decrypt (rotation)."""

    def __init__(self, keys: str) -> None:
        parts = [key.strip() for key in keys.split(",") if key.strip()]
        if not parts:
            raise ValueError("an encryption key is needed")
        self._box = MultiFernet([Fernet(key) for key in parts])
        # The last key is the oldest: fingerprints must survive a rotation.
        self._fingerprint_key = hashlib.sha256(_FINGERPRINT + parts[-1].encode()).digest()

    def seal(self, text: str) -> bytes:
        return self._box.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        return self._box.decrypt(sealed).decode()

    def seal_payer(self, payer: Payer) -> bytes:
        return self.seal(json.dumps([payer.email, payer.ip, payer.cardholder_name]))

    def open_payer(self, sealed: bytes) -> Payer:
        return Payer(*json.loads(self.open(sealed)))

    def fingerprint(self, first_six: str, last_four: str, expires_month: int, expires_year: int) -> str:
        """The same card gives the same fingerprint; nothing leads back without the key."""
        material = f"{first_six}|{last_four}|{expires_month:02}|{expires_year}".encode()
        return hmac.new(self._fingerprint_key, material, hashlib.sha256).hexdigest()
