"""Takes a scheduled cancellation back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import events, subscription_terms
from billing_api.billing_service.commands.abandon_subscription import hold_subscription
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import subscription as rules
from shared.errors import conflict
from shared.period import day_in_zone


@dataclass(frozen=True, slots=True)
class SubscriptionReactivated:
    subscription_id: UUID
    status: str


def reactivate_subscription(
    subscription_id: UUID, *, user_id: UUID | None = None, now: datetime
) -> SubscriptionReactivated:
    """Until the period ends.

    Raises ``subscription-not-found``, ``subscription-transition-refused``, ``account-blocked``.
    """
    with atomic():
        subscription = hold_subscription(subscription_id, user_id)
        if subscription.account.status != "active":
            raise conflict("account-blocked", "The account is blocked.")
        today = day_in_zone(now, subscription.time_zone)
        value = rules.undo_cancel(subscription_terms.as_value(subscription), today=today)
        subscription_terms.take(subscription, value, now)
        subscription.save(using="billing")
        events.tell_subscription("subscription.changed", subscription.account, subscription, now)
        return SubscriptionReactivated(subscription.id, subscription.status)
