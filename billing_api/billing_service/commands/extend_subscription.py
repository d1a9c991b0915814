"""Gives a subscription some days more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from billing_api.billing_service import changes, events, subscription_terms
from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.commands.abandon_subscription import hold_subscription
from billing_api.billing_service.commands.cancel_payment import refuse_while_open
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import entitlements
from billing_api.billing_service.domain import subscription as rules
from shared.errors import invalid
from shared.period import day_in_zone

MAX_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class SubscriptionExtended:
    """Access before and after, UTC."""

    subscription_id: UUID
    access_until_before: datetime | None
    access_until_after: datetime | None


def extend_subscription(
    subscription_id: UUID,
    *,
    days: int,
    actor: Actor,
    reason: str,
    preview: bool = False,
    now: datetime,
) -> SubscriptionExtended:
    """The next invoice moves by as many days. Raises ``subscription-not-found``, ``days-out-of-range``,
    ``subscription-transition-refused``, ``cancellation-open``, ``reason-missing``."""
    reason = require_reason(reason)
    if not 1 <= days <= MAX_DAYS:
        raise invalid("days-out-of-range", f"Give 1 to {MAX_DAYS} days.")
    with atomic():
        subscription = hold_subscription(subscription_id)
        refuse_while_open(subscription_id=subscription.id)
        value = rules.extend(
            subscription_terms.as_value(subscription),
            days=days,
            today=day_in_zone(now, subscription.time_zone),
        )
        before = subscription.access_until
        done = SubscriptionExtended(subscription.id, before, entitlements.access_until(value))
        if preview:
            return done
        subscription_terms.take(subscription, value, now)
        if subscription.status == "trialing" and not subscription.periods_billed:
            # Told of the old end, its customer is told of the new one, too.
            subscription.trial_ends_at, subscription.trial_reminded_at = subscription.next_invoice_at, None
        subscription.save(using="billing")
        if value.period is not None:
            changes.move_to(subscription, value.period.end)
        events.tell_subscription("subscription.changed", subscription.account, subscription, now)
        record(
            "extend_subscription",
            actor,
            reason,
            account=subscription.account,
            subject=("subscription", subscription.id),
            before={"access_until": before.isoformat() if before else None},
            after={
                "access_until": subscription.access_until.isoformat() if subscription.access_until else None
            },
            now=now,
        )
        return done
