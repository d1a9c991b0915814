"""Creates a promotion: a discount that applies by itself to a segment, a window and products."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.commands.assign_discount import DiscountTerms
from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import Product, Promotion
from shared.errors import invalid
from shared.ids import new_id
from shared.money import MAX_AMOUNT_MINOR

SEGMENTS: Final = ("all", "new_customers")


@dataclass(frozen=True, slots=True)
class PromotionRules:
    """``segment`` of ``SEGMENTS``; ``budget_minor`` in the currency of the terms, None: no limit."""

    segment: str = "all"
    budget_minor: int | None = None

    def check(self) -> None:
        """Raises ``discount-invalid``."""
        if self.segment not in SEGMENTS:
            raise invalid("discount-invalid", f"There is no segment {self.segment!r}.")
        if self.budget_minor is not None and not 0 < self.budget_minor <= MAX_AMOUNT_MINOR:
            raise invalid("discount-invalid", "A budget is a positive amount.")


@dataclass(frozen=True, slots=True)
class PromotionCreated:
    """``promotion_id`` None in a preview; ``begins_at``: when the first invoice may get it, UTC."""

    promotion_id: UUID | None
    begins_at: datetime


def create_promotion(
    terms: DiscountTerms,
    rules: PromotionRules = PromotionRules(),
    *,
    actor: Actor,
    reason: str,
    preview: bool = False,
    now: datetime,
) -> PromotionCreated:
    """It works inside its window, from the next invoice on when there is no start (domain, section 2).

    Raises ``discount-invalid``, ``reason-missing``.
    """
    reason = require_reason(reason)
    columns = terms.columns()
    rules.check()
    if not terms.label.strip():
        raise invalid("discount-invalid", "A promotion has a name: invoices explain it by it.")
    if terms.ends_at is not None and terms.ends_at <= now:
        raise invalid("discount-invalid", "The window is over already.")
    with atomic():
        if Product.objects.filter(id__in=terms.product_ids).count() != len(set(terms.product_ids)):
            raise invalid("discount-invalid", "There is no such product.")
        begins_at = max(now, terms.starts_at or now)
        if preview:
            return PromotionCreated(None, begins_at)
        row = Promotion.objects.create(
            id=new_id(), segment=rules.segment, budget_minor=rules.budget_minor, created_at=now, **columns
        )
        after = {
            "label": row.label,
            "kind": row.kind,
            "value": row.value,
            "duration": row.duration_kind,
            "segment": row.segment,
            "budget_minor": row.budget_minor,
        }
        record(
            "create_promotion",
            actor,
            reason,
            account=None,
            subject=("promotion", row.id),
            before={},
            after=after,
            now=now,
        )
        return PromotionCreated(row.id, begins_at)
