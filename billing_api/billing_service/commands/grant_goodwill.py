"""Gives a customer money on account as a gift."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import posting
from billing_api.billing_service.actors import Actor, recording_posting, require_reason
from billing_api.billing_service.database import as_one, together
from billing_api.billing_service.domain import ledger
from billing_api.billing_service.posting_statements import BALANCE_OF_USER, OWNER_HELD, balance_before
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
    """Raises ``account-not-found``, ``amount-not-positive``, ``reason-missing``.

    The whole of it is one round trip: what is decided does not depend on where the account stands.
    """
    reason, adjustment_id, currency = require_reason(reason), new_id(), amount.currency
    transaction = ledger.goodwill_credited(adjustment_id, user_id, currency, amount.amount)
    if preview:
        found = together(BALANCE_OF_USER.of(user_id=user_id, currency=currency))
    else:
        queries, values = posting.writing(transaction, user_id, now)
        recorded, said = recording_posting("grant_goodwill", actor, reason, transaction.source_kind, currency)
        done = (OWNER_HELD, *queries, recorded, balance_before(currency))
        found = together(as_one(done, {"user_id": user_id, **values, **said}))
    if not found:
        raise not_found("account")
    before = Money(-found[0][0], currency)
    return GoodwillGranted(adjustment_id, before, before + amount)
