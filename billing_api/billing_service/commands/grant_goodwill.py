"""Gives a customer money on account as a gift."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import locks, posting
from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import ledger
from shared.errors import not_found
from shared.ids import new_id
from shared.money import Money


@dataclass(frozen=True, slots=True)
class GoodwillGranted:
    """``balance_*`` from the customer's view, prepaid positive."""

    adjustment_id: UUID
    balance_before: Money
    balance_after: Money


def grant_goodwill(
    user_id: UUID, amount: Money, *, actor: Actor, reason: str, preview: bool = False, now: datetime
) -> GoodwillGranted:
    """Raises ``account-not-found``, ``amount-not-positive``, ``reason-missing``."""
    reason = require_reason(reason)
    with atomic():
        account = locks.lock_account_of_user(user_id)
        if account is None:
            raise not_found("account")
        adjustment_id = new_id()
        transaction = ledger.goodwill_credited(adjustment_id, account.id, amount.currency, amount.amount)
        before = Money(-posting.balance_minor(account, amount.currency), amount.currency)
        done = GoodwillGranted(adjustment_id, before, before + amount)
        if preview:
            return done
        posting.post(transaction, account, now)
        record(
            "grant_goodwill",
            actor,
            reason,
            account=account,
            subject=("adjustment", adjustment_id),
            before={"balance": before.as_json()},
            after={"balance": done.balance_after.as_json()},
            now=now,
        )
        return done
