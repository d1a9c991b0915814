"""Card cryptograms: what the browser script makes, and what the provider reads from them (protocol 1.5)."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KEY_VERSION: Final = 4
_KEY_BITS: Final = 2048
_LEGACY: Final = re.compile(r"01(\d{6})(\d{4})(\d{4})(\d{2})([A-Za-z0-9+/]{342}==)")


class UnreadableCryptogram(ValueError):
    """Not a cryptogram, or not one made for this key and this terminal."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a cryptogram holds. Lives only while one call is handled; never stored or logged."""

    pan: str
    exp_month: int
    exp_year: int  # two digits
    cvv: str

    @property
    def first_six(self) -> str:
        return self.pan[:6]

    @property
    def last_four(self) -> str:
        return self.pan[-4:]

    @property
    def exp_date(self) -> str:
        return f"{self.exp_month:02d}/{self.exp_year:02d}"


def _encrypt(pem: str, public_id: str, pan: str, exp_month: int, exp_year: int, cvv: str) -> str:
    key = cast(rsa.RSAPublicKey, serialization.load_pem_public_key(pem.encode()))
    plain = f"{pan}@{exp_year % 100:02d}{exp_month:02d}@{cvv}@{public_id}"
    # PKCS#1 v1.5 is the provider's format, not our choice.
    return base64.b64encode(key.encrypt(plain.encode("ascii"), padding.PKCS1v15())).decode()


def make_packet(
    pem: str, version: int, public_id: str, pan: str, exp_month: int, exp_year: int, cvv: str
) -> str:
    """The current packet, as the browser script makes it: base64 of JSON around the ciphertext.

    ``pem`` and ``version`` are those of ``payments/publickey``; the year may have two or four digits.
    """
    pan = pan.replace(" ", "")
    digits = str(version)
    packet = {
        "Type": "CloudCard",
        "BrowserInfoBase64": "",
        "CardInfo": {
            "FirstSixDigits": pan[:6],
            "LastFourDigits": pan[-4:],
            "ExpDateYear": f"{exp_year % 100:02d}",
            "ExpDateMonth": f"{exp_month:02d}",
        },
        "KeyVersion": digits.zfill(len(digits) + len(digits) % 2),
        "Format": 1,
        "Value": _encrypt(pem, public_id, pan, exp_month, exp_year, cvv),
    }
    return base64.b64encode(json.dumps(packet, separators=(",", ":")).encode()).decode()


def make_legacy_packet(
    pem: str, version: int, public_id: str, pan: str, exp_month: int, exp_year: int, cvv: str
) -> str:
    """The older envelope: one string of digits and the ciphertext."""
    pan = pan.replace(" ", "")
    value = _encrypt(pem, public_id, pan, exp_month, exp_year, cvv)
    return f"01{pan[:6]}{pan[-4:]}{exp_year % 100:02d}{exp_month:02d}{version:02d}{value}"


class TerminalKey:
    """The RSA key of the terminal; kept in a file when one is named, else made anew at start."""

    def __init__(self, private_key: rsa.RSAPrivateKey) -> None:
        self._private = private_key
        self.pem = (
            private_key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )
        self._lock = threading.Lock()

    @classmethod
    def load(cls, path: Path | None) -> TerminalKey:
        if path is not None and path.exists():
            loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
            return cls(cast(rsa.RSAPrivateKey, loaded))
        made = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}")
            draft.touch(mode=0o600)
            draft.write_bytes(
                made.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            draft.replace(path)  # a half-written key would be worse than none
        return cls(made)

    def open(self, packet: str, public_id: str) -> Card:
        """The card inside either envelope.

        Raises UnreadableCryptogram when it was not made with this key for this terminal, or when its
        open part contradicts the encrypted one.
        """
        shown, version, value = _take_apart(packet)
        if version != KEY_VERSION:
            raise UnreadableCryptogram("another key version")
        card = _read_plain(self._decrypt(value), public_id)
        if shown != (card.first_six, card.last_four, f"{card.exp_year:02d}{card.exp_month:02d}"):
            raise UnreadableCryptogram("the open part differs from the encrypted one")
        return card

    def _decrypt(self, value: str) -> str:
        try:
            with self._lock:
                plain = self._private.decrypt(base64.b64decode(value, validate=True), padding.PKCS1v15())
            return plain.decode("ascii")
        except ValueError as error:
            raise UnreadableCryptogram("cannot be decrypted") from error


def _take_apart(packet: str) -> tuple[tuple[str, str, str], int, str]:
    """(first six, last four, YYMM) as shown in the open, key version, ciphertext in base64."""
    legacy = _LEGACY.fullmatch(packet)
    if legacy:
        first_six, last_four, year_month, version, value = legacy.groups()
        return (first_six, last_four, year_month), int(version), value
    try:
        body: Any = json.loads(base64.b64decode(packet, validate=True))
        info = body["CardInfo"]
        year_month = f"{info['ExpDateYear']}{info['ExpDateMonth']}"
        shown = (str(info["FirstSixDigits"]), str(info["LastFourDigits"]), year_month)
        return shown, int(body["KeyVersion"]), str(body["Value"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise UnreadableCryptogram("neither a packet nor a legacy string") from error


def _read_plain(plain: str, public_id: str) -> Card:
    parts = plain.split("@")
    if len(parts) != 4 or not re.fullmatch(r"\d{13,19}", parts[0]) or not re.fullmatch(r"\d{4}", parts[1]):
        raise UnreadableCryptogram("not a card inside")
    if parts[3] != public_id:
        raise UnreadableCryptogram("made for another terminal")
    month = int(parts[1][2:])
    if not 1 <= month <= 12 or not re.fullmatch(r"\d{3,4}", parts[2]):
        raise UnreadableCryptogram("a wrong date or CVV")
    return Card(parts[0], month, int(parts[1][:2]), parts[2])
