"""Ends a promotion: no later invoice gets it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import Promotion
from shared.errors import conflict, not_found


@dataclass(frozen=True, slots=True)
class PromotionEnded:
    """``budget_spent_minor``: what it has given away, reserved by open invoices included."""

    promotion_id: UUID
    ended_at: datetime
    budget_spent_minor: int


def end_promotion(
    promotion_id: UUID, *, actor: Actor, reason: str, preview: bool = False, now: datetime
) -> PromotionEnded:
    """Those in the middle of a repeating promotion lose it too; invoices that are issued keep it.

    Raises ``promotion-not-found``, ``promotion-ended``, ``reason-missing``.
    """
    reason = require_reason(reason)
    with atomic():
        running = Promotion.objects.filter(id=promotion_id, is_active=True)
        # One conditional statement: of two that end it at once, one does. It also waits for the invoices that
        # are reserving a part of the budget; those that come after it find the promotion gone.
        if not (running.exists() if preview else running.update(is_active=False)):
            if not Promotion.objects.filter(id=promotion_id).exists():
                raise not_found("promotion")
            raise conflict("promotion-ended", "The promotion has ended already.")
        spent_minor = Promotion.objects.get(id=promotion_id).budget_spent_minor
        if not preview:
            record(
                "end_promotion",
                actor,
                reason,
                account=None,
                subject=("promotion", promotion_id),
                before={"is_active": True},
                after={"is_active": False, "budget_spent_minor": spent_minor},
                now=now,
            )
        return PromotionEnded(promotion_id, now, spent_minor)
