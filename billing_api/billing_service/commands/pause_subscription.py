"""Pauses a subscription: nothing is invoiced, and the days that are paid are kept for later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import changes, events, subscription_terms
from billing_api.billing_service.commands.abandon_subscription import hold_subscription
from billing_api.billing_service.commands.cancel_payment import refuse_while_open
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import subscription as rules
from shared.errors import conflict
from shared.period import day_in_zone


@dataclass(frozen=True, slots=True)
class SubscriptionPaused:
    """``remaining_days``: whole days, today included, that a resumption gives back."""

    subscription_id: UUID
    remaining_days: int


def pause_subscription(
    subscription_id: UUID, *, user_id: UUID | None = None, now: datetime
) -> SubscriptionPaused:
    """Access ends with the beginning of today. A change at the period's end stays, one unpaid refuses.

    Raises ``subscription-not-found``, ``subscription-transition-refused``, ``pending-change-open``,
    ``cancellation-open``.
    """
    with atomic():
        subscription = hold_subscription(subscription_id, user_id)
        refuse_while_open(subscription_id=subscription.id)
        waiting = changes.open_change(subscription)
        if waiting is not None and waiting.invoice_id is not None:
            raise conflict(
                "pending-change-open",
                "A change waits for its payment; close it first.",
                subscription_id=str(subscription.id),
                invoice_id=str(waiting.invoice_id),
            )
        today = day_in_zone(now, subscription.time_zone)
        value = rules.pause(subscription_terms.as_value(subscription), today=today)
        subscription_terms.take(subscription, value, now)
        subscription.save(using="billing")
        events.tell_subscription("subscription.paused", subscription.account, subscription, now)
        return SubscriptionPaused(subscription.id, value.remaining_days or 0)
