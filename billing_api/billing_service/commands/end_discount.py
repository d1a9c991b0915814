"""Ends a personal discount: no later invoice gets it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import locks
from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import PersonalDiscount
from shared.errors import conflict, not_found


@dataclass(frozen=True, slots=True)
class DiscountEnded:
    discount_id: UUID
    ended_at: datetime


def end_discount(
    discount_id: UUID, *, actor: Actor, reason: str, preview: bool = False, now: datetime
) -> DiscountEnded:
    """Raises ``discount-not-found``, ``discount-ended``, ``reason-missing``."""
    reason = require_reason(reason)
    with atomic():
        account_id = (
            PersonalDiscount.objects.filter(id=discount_id).values_list("account_id", flat=True).first()
        )
        if account_id is None:
            raise not_found("discount")
        account = locks.lock_account(account_id)
        row = PersonalDiscount.objects.get(id=discount_id)
        if row.ended_at is not None:
            raise conflict("discount-ended", "The discount has ended already.")
        if not preview:
            row.ended_at, row.end_reason = now, reason
            row.store("ended_at", "end_reason")
            record(
                "end_discount",
                actor,
                reason,
                account=account,
                subject=("personal_discount", row.id),
                before={"ended_at": None},
                after={"ended_at": now.isoformat()},
                now=now,
            )
        return DiscountEnded(discount_id, now)
