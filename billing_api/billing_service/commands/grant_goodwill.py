"""Gives a customer money on account as a gift."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import posting
from billing_api.billing_service.actors import Actor, recording, require_reason
from billing_api.billing_service.database import Brief
from billing_api.billing_service.domain import ledger
from billing_api.billing_service.standing import held_standing
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
    with Brief() as work:
        stands = held_standing(work, user_id, amount.currency)
        if stands is None:
            raise not_found("account")
        account_id, adjustment_id = stands.account_id, new_id()
        transaction = ledger.goodwill_credited(adjustment_id, account_id, amount.currency, amount.amount)
        before = Money(-stands.balance_minor, amount.currency)
        done = GoodwillGranted(adjustment_id, before, before + amount)
        if preview:
            return done
        _, written = posting.writing(transaction, [stands], account_id, now)
        recorded = recording(
            "grant_goodwill",
            actor,
            reason,
            account_id=account_id,
            subject=("adjustment", adjustment_id),
            before={"balance": before.as_json()},
            after={"balance": done.balance_after.as_json()},
            now=now,
        )
        work.write(recorded, *written)
        return done
