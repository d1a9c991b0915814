"""Closes a finding that a person has looked at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import locks
from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.commands.release_subscription import FAILURES_UNTIL_SET_ASIDE
from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import ReviewItem, Subscription
from billing_api.billing_service.reports import BILLING_SET_ASIDE
from shared.errors import conflict, not_found

_OVER = ("cancelled", "expired")


@dataclass(frozen=True, slots=True)
class ReviewItemResolved:
    review_item_id: UUID
    resolved_at: datetime


def resolve_review_item(
    review_item_id: UUID, *, actor: Actor, reason: str, preview: bool = False, now: datetime
) -> ReviewItemResolved:
    """Moves no money: what a finding asks for is done by its own command. Found again, it stands open again.

    Raises ``review-item-not-found``, ``review-item-resolved``, ``subscription-set-aside`` (billing it again
    is what resolves it: closed by hand, nobody would be told that it is not invoiced), ``reason-missing``.
    """
    reason = require_reason(reason)
    with atomic():
        account_id = ReviewItem.objects.filter(id=review_item_id).values_list("account_id", flat=True).first()
        if account_id is None:
            raise not_found("review-item")
        account = locks.lock_account(account_id)
        item = ReviewItem.objects.get(id=review_item_id)
        if item.resolved_at is not None:
            raise conflict("review-item-resolved", "The finding is resolved already.")
        if item.kind == BILLING_SET_ASIDE and _is_set_aside(item.subject_id):
            raise conflict("subscription-set-aside", "Bill the subscription again: that resolves it.")
        if not preview:
            item.resolved_at = now
            item.store("resolved_at")
            record(
                "resolve_review_item",
                actor,
                reason,
                account=account,
                subject=("review_item", item.id),
                before={"kind": item.kind, "resolved_at": None},
                after={"kind": item.kind, "resolved_at": now.isoformat()},
                now=now,
            )
        return ReviewItemResolved(review_item_id, now)


def _is_set_aside(subscription_id: UUID) -> bool:
    waiting = Subscription.objects.filter(id=subscription_id, billing_failures__gte=FAILURES_UNTIL_SET_ASIDE)
    return waiting.exclude(status__in=_OVER).exists()
