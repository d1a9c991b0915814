"""Access passports: a signed, short-lived list of what a user may watch, verifiable without asking us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import jwt

from shared.auth import ALGORITHM, ISSUER
from shared.ids import new_id
from shared.keys import SigningKey
from user_api.user_service.access import Decision

TOKEN_TYPE: Final = "cinema-access+jwt"  # noqa: S105 - a media type, not a secret
AUDIENCE: Final = "cinema-playback"
LIFETIME_SECONDS: Final = 300
FEATURE: Final = "feature:"


@dataclass(frozen=True, slots=True)
class Passport:
    """The signed text, its end (UTC) and what it grants; features without their prefix."""

    text: str
    expires_at: datetime
    resources: list[str]
    features: list[str]


def issue_passport(
    key: SigningKey, user_id: UUID, decisions: Mapping[str, Decision], now: datetime
) -> Passport:
    """Signs those of ``decisions`` that are granted.

    It ends after ``LIFETIME_SECONDS`` or with the first of the rights in it, whichever comes first, so no
    passport outlives a right that ends by time; a revocation is felt offline at that end.
    """
    issued_at = int(now.timestamp())
    granted = {name: decision for name, decision in decisions.items() if decision.granted}
    resources = sorted(name for name in granted if not name.startswith(FEATURE))
    features = sorted(name.removeprefix(FEATURE) for name in granted if name.startswith(FEATURE))
    ends = [int(decision.until.timestamp()) for decision in granted.values() if decision.until is not None]
    expires_at = min([issued_at + LIFETIME_SECONDS, *ends])
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),
        "jti": str(new_id()),
        "iat": issued_at,
        "nbf": issued_at,
        "exp": expires_at,
        "resources": resources,
        "features": features,
    }
    headers = {"typ": TOKEN_TYPE, "kid": key.kid}
    text = jwt.encode(claims, key.private, algorithm=ALGORITHM, headers=headers)
    return Passport(text, datetime.fromtimestamp(expires_at, UTC), resources, features)
