"""The customer as BillingAPI and PayAPI are told of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.errors import not_found
from user_api.user_service import repository
from user_api.user_service.database import Sessions


@dataclass(frozen=True, slots=True)
class Customer:
    """A snapshot; ``sequence`` is that of the user's newest event: BillingAPI lets the newer win."""

    user_id: UUID
    sequence: int
    locale: str
    time_zone: str
    email: str
    email_hash: str
    document_name: str

    def as_json(self) -> dict[str, Any]:
        return {
            "user_id": str(self.user_id),
            "sequence": self.sequence,
            "locale": self.locale,
            "time_zone": self.time_zone,
            "email_hash": self.email_hash,
            "email": self.email,
            "document_name": self.document_name,
        }

    def fingerprint(self) -> str:
        """Changes with the snapshot; a part of derived keys, so that a key never meets another body."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()[:16]


async def load_customer(sessions: Sessions, user_id: UUID) -> Customer:
    """Raises ``user-not-found``."""
    async with sessions() as session:
        user = await repository.find_user(session, user_id)
        if user is None:
            raise not_found("user")
        sequence = await repository.read_event_sequence(session, user_id)
    return Customer(
        user_id=user_id,
        sequence=sequence,
        locale=user.locale,
        time_zone=user.time_zone,
        email=user.email,
        email_hash=hashlib.sha256(user.email_normalized.encode()).hexdigest(),
        document_name=user.full_name or "",
    )
