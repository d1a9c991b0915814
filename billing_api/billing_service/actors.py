"""Who gave a command, and the audit row of a staff command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from billing_api.billing_service.models import Account, AuditRecord
from shared import correlation
from shared.errors import invalid


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
) -> AuditRecord:
    """Writes who did what, when and why, with the state before and after."""
    return AuditRecord.objects.create(
        account=account,
        command=command,
        actor_kind=actor.kind,
        actor_id=actor.id,
        reason=reason,
        subject_kind=subject[0],
        subject_id=subject[1],
        before=dict(before),
        after=dict(after),
        correlation_id=correlation.current(),
        done_at=now,
    )
