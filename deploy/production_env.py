"""Prints an .env for production: .env.example with new secrets, and what only you know left to fill in."""

from __future__ import annotations

import base64
import re
import secrets
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[1] / ".env.example"
SECRET = re.compile(r"_(PASSWORD|TOKEN|KEY)$")
# a Fernet key, and a key as long as Django asks for
FERNET_SETTING = "TOKEN_ENCRYPTION_KEY"
SECRET_BYTES = 48
# refused by the services until they are filled in
YOURS = {
    "PUBLIC_URL": "where customers reach the gateway: https://…",
    "RETURN_URL_ORIGINS": "where a payment may lead back to, with commas between",
    "CLOUDPAYMENTS_PUBLIC_ID": "from the provider's cabinet",
    "CLOUDPAYMENTS_API_SECRET": "from the provider's cabinet",
    "SELLER_INN": "the seller's tax number; the other SELLER_ settings stand on documents too",
}
# the sandbox and the adjustable clock are no part of production
SET = {
    "APP_ENV": "production",
    "CLOCK_REDIS_URL": "",
    "CLOUDPAYMENTS_API_URL": "https://api.cloudpayments.ru",
    "CLOUDPAYMENTS_PUBLIC_URL": "https://api.cloudpayments.ru",
}


def _line(name: str, value: str) -> list[str]:
    if name in SET:
        return [f"{name}={SET[name]}"]
    if name in YOURS:
        return [f"# fill in: {YOURS[name]}", f"{name}="]
    if name == FERNET_SETTING:
        return [f"{name}={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}"]
    if SECRET.search(name):
        return [f"{name}={secrets.token_hex(SECRET_BYTES)}"]
    return [f"{name}={value}"]


def production_env() -> str:
    """The whole text; each call makes other secrets."""
    lines: list[str] = []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        name, given, value = line.lstrip("#").partition("=")
        known = given and re.fullmatch(r"[A-Z0-9_]+", name)
        if known and (not line.startswith("#") or name in SET or name in YOURS):
            lines += _line(name, value)
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(production_env(), end="")
