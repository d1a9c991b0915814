"""The form a notification has on the wire, and its two signatures (protocol 2.2)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote_plus, unquote_plus

_ESCAPE: Final = re.compile(r"%[0-9A-F]{2}")


def form_encode(fields: Mapping[str, str], codec: str = "utf-8") -> bytes:
    """Percent-encodes the .NET way: lower-case hex, a space as ``+``, ``-_.!*()`` left alone."""
    return "&".join(
        f"{_encode(name, codec)}={_encode(value, codec)}" for name, value in fields.items()
    ).encode()


def _encode(text: str, codec: str) -> str:
    escaped = quote_plus(text, safe="-_.!*()", encoding=codec, errors="replace").replace("~", "%7E")
    return _ESCAPE.sub(lambda found: found.group().lower(), escaped)


def hmac_base64(secret: str, message: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), message, hashlib.sha256)).decode()


def signature_headers(secret: str, body: bytes, codec: str = "utf-8") -> dict[str, str]:
    """``Content-HMAC`` signs the raw body, ``X-Content-HMAC`` the URL-decoded one."""
    return {
        "Content-HMAC": hmac_base64(secret, body),
        "X-Content-HMAC": hmac_base64(secret, unquote_plus(body.decode(), encoding=codec).encode()),
    }
