"""Gives a subscription that the billing run has set aside back to the next run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.commands.abandon_subscription import hold_subscription
from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import ReviewItem, RunItem, Subscription
from billing_api.billing_service.reports import BILLING_SET_ASIDE
from shared.errors import conflict

FAILURES_UNTIL_SET_ASIDE: Final = 3


@dataclass(frozen=True, slots=True)
class SubscriptionReleased:
    """``last_error``: why the run failed the last time; ``next_invoice_at``: what is due from then, UTC."""

    subscription_id: UUID
    failures: int
    last_error: str
    next_invoice_at: datetime | None


def release_subscription(
    subscription_id: UUID, *, actor: Actor, reason: str, preview: bool = False, now: datetime
) -> SubscriptionReleased:
    """The next run tries again and, when it fails, counts from one. Its missed periods are billed in order.

    Raises ``subscription-not-found``, ``subscription-not-set-aside``, ``reason-missing``.
    """
    reason = require_reason(reason)
    with atomic():
        subscription = hold_subscription(subscription_id)
        if subscription.billing_failures < FAILURES_UNTIL_SET_ASIDE:
            raise conflict("subscription-not-set-aside", "The billing run has not set it aside.")
        done = SubscriptionReleased(
            subscription.id,
            subscription.billing_failures,
            _last_error(subscription),
            subscription.next_invoice_at,
        )
        if preview:
            return done
        subscription.billing_failures = 0
        subscription.store("billing_failures")
        ReviewItem.objects.filter(
            kind=BILLING_SET_ASIDE, subject_id=subscription.id, resolved_at__isnull=True
        ).update(resolved_at=now)
        record(
            "release_subscription",
            actor,
            reason,
            account=subscription.account,
            subject=("subscription", subscription.id),
            before={"billing_failures": done.failures, "error": done.last_error},
            after={"billing_failures": 0},
            now=now,
        )
        return done


def _last_error(subscription: Subscription) -> str:
    failed = RunItem.objects.filter(
        account_id=subscription.account_id, subscription_id=subscription.id, state="error"
    )
    return failed.order_by("-settled_at").values_list("error", flat=True).first() or ""
