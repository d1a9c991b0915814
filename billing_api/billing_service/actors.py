"""Who gave a command, and the audit row of a staff command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from billing_api.billing_service.database import Query, Statement, together
from billing_api.billing_service.models import Account
from shared import correlation
from shared.errors import invalid
from shared.ids import new_id


@dataclass(frozen=True, slots=True)
class Actor:
    """``id``: staff user name, user id, or the name of the process."""

    kind: Literal["staff", "user", "system"]
    id: str


SYSTEM = Actor("system", "billing")


def require_reason(reason: str) -> str:
    """The reason without spaces around; raises ``reason-missing``."""
    text = reason.strip()
    if not text:
        raise invalid("reason-missing", "Say why: the reason is kept with the change.")
    return text


def record(
    command: str,
    actor: Actor,
    reason: str,
    *,
    account: Account | None,
    subject: tuple[str, UUID],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    now: datetime,
) -> None:
    """Writes who did what, when and why, with the state before and after."""
    account_id = account.id if account is not None else None
    together(
        recording(
            command,
            actor,
            reason,
            account_id=account_id,
            subject=subject,
            before=before,
            after=after,
            now=now,
        )
    )


def recording(
    command: str,
    actor: Actor,
    reason: str,
    *,
    account_id: UUID | None,
    subject: tuple[str, UUID],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    now: datetime,
) -> Statement:
    """The statement that writes what ``record`` writes."""
    return _RECORD.of(
        new_id(),
        account_id,
        command,
        actor.kind,
        actor.id,
        reason,
        subject[0],
        subject[1],
        json.dumps(before),
        json.dumps(after),
        correlation.current(),
        now,
    )


_RECORD: Final = Query(
    "record_command",
    (
        *("uuid", "uuid", "text", "text", "text", "text", "text", "uuid"),
        "jsonb",
        "jsonb",
        "text",
        "timestamptz",
    ),
    """
INSERT INTO audit_record (id, account_id, command, actor_kind, actor_id, reason, subject_kind, subject_id,
    before, after, correlation_id, done_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
""",
)
