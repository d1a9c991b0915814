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
        audit_id=new_id(),
        account_id=account_id,
        command=command,
        actor_kind=actor.kind,
        actor_id=actor.id,
        reason=reason,
        subject_kind=subject[0],
        subject_id=subject[1],
        before=json.dumps(before),
        after=json.dumps(after),
        correlation_id=correlation.current(),
        now=now,
    )


_RECORD: Final = Query(
    "record_command",
    """
INSERT INTO audit_record (id, account_id, command, actor_kind, actor_id, reason, subject_kind, subject_id,
    before, after, correlation_id, done_at)
VALUES ($audit_id:uuid, $account_id:uuid, $command:text, $actor_kind:text, $actor_id:text, $reason:text,
    $subject_kind:text, $subject_id:uuid, $before:jsonb, $after:jsonb, $correlation_id:text, $now:timestamptz)
""",
)
