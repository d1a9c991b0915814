"""Who gave a command, and the audit row of a staff command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal, get_args
from uuid import UUID

from billing_api.billing_service.database import Query, together
from billing_api.billing_service.domain.ledger import SourceKind
from billing_api.billing_service.models import Account
from billing_api.billing_service.posting_statements import link_name
from shared import correlation
from shared.errors import broken_invariant, invalid
from shared.ids import new_id
from shared.plain_text import one_line

ActorKind = Literal["staff", "user", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """``id``: staff user name, user id, or the name of the process."""

    kind: ActorKind
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
            audit_id=new_id(),
            actor_kind=actor.kind,
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

    The state before and after is the balance in this currency, as the customer sees it: prepaid positive. The
    record has the id of its posting.
    """
    return _record_of_posting(command, actor.kind, source_kind, currency), _said(actor, reason)


def _said(actor: Actor, reason: str) -> dict[str, Any]:
    return {"actor_id": actor.id, "reason": reason, "correlation_id": correlation.current()}


_COLUMNS: Final = """
INSERT INTO audit_record (actor_id, reason, correlation_id, done_at, subject_id, id, actor_kind, subject_kind,
    command, account_id, before, after)
SELECT $actor_id:text, $reason:text, $correlation_id:text, $now:timestamptz, """
_RECORD: Final = Query(
    "recorded",
    _COLUMNS + "$subject_id:uuid, $audit_id:uuid, $actor_kind:text, $subject_kind:text, $command:text,"
    " $account_id:uuid, $before:jsonb, $after:jsonb",
)


@cache
def _record_of_posting(command: str, actor_kind: ActorKind, source_kind: SourceKind, currency: str) -> Query:
    if actor_kind not in get_args(ActorKind):  # it stands in the text of the statement
        raise broken_invariant("actor-kind", actor_kind)
    before, after = (
        f"jsonb_build_object('balance', jsonb_build_object('amount', -{balance}, 'currency', '{currency}'))"
        for balance in ("balance_before_minor", "balance_minor")
    )
    named = f"$source_id:uuid, $transaction_id:uuid, '{actor_kind}', '{source_kind}', '{command}', account_id"
    return Query("recorded", f"{_COLUMNS}{named}, {before}, {after} FROM {link_name(currency)}")
