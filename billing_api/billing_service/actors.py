"""Who gave a command, and the audit row of a staff command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal
from uuid import UUID

from billing_api.billing_service.database import Query, together
from billing_api.billing_service.domain.ledger import SourceKind
from billing_api.billing_service.models import Account
from billing_api.billing_service.posting_statements import link_name
from shared import correlation
from shared.errors import invalid
from shared.ids import new_id
from shared.plain_text import one_line


@dataclass(frozen=True, slots=True)
class Actor:
    """``id``: staff user name, user id, or the name of the process."""

    kind: Literal["staff", "user", "system"]
    id: str


SYSTEM = Actor("system", "billing")


def require_reason(reason: str) -> str:
    """The reason as one line; raises ``reason-missing``."""
    text = one_line(reason)
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
        _RECORD.of(
            **_said(actor, reason),
            account_id=account_id,
            command=command,
            subject_kind=subject[0],
            subject_id=subject[1],
            before=json.dumps(before),
            after=json.dumps(after),
            now=now,
        )
    )


def recording_posting(
    command: str, actor: Actor, reason: str, source_kind: SourceKind, currency: str
) -> tuple[Query, dict[str, Any]]:
    """What writes what ``record`` does of a posting's source, joined to the posting, and its values.

    The state before and after is the balance in this currency, as the customer sees it: prepaid positive.
    """
    return _record_of_posting(command, source_kind, currency), _said(actor, reason)


def _said(actor: Actor, reason: str) -> dict[str, Any]:
    return {
        "audit_id": new_id(),
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "reason": reason,
        "correlation_id": correlation.current(),
    }


_RECORD_SQL: Final = """
INSERT INTO audit_record (id, actor_kind, actor_id, reason, correlation_id, done_at, subject_kind, subject_id,
    command, account_id, before, after)
SELECT $audit_id:uuid, $actor_kind:text, $actor_id:text, $reason:text, $correlation_id:text,
    $now:timestamptz, """
_RECORD: Final = Query(
    "recorded",
    _RECORD_SQL
    + "$subject_kind:text, $subject_id:uuid, $command:text, $account_id:uuid, $before:jsonb, $after:jsonb",
)


@cache
def _record_of_posting(command: str, source_kind: SourceKind, currency: str) -> Query:
    before, after = (
        f"jsonb_build_object('balance', jsonb_build_object('amount', -{balance}, 'currency', '{currency}'))"
        for balance in ("balance_before_minor", "balance_minor")
    )
    of_source = f"'{source_kind}', $source_id:uuid, '{command}', account_id, {before}, {after}"
    return Query("recorded", f"{_RECORD_SQL}{of_source} FROM {link_name(currency)}")
