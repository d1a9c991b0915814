"""Cancels an incomplete subscription whose payments PayAPI has closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import locks, orders, settlement
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.models import Subscription
from shared.errors import conflict, not_found


@dataclass(frozen=True, slots=True)
class SubscriptionAbandoned:
    subscription_id: UUID
    status: str


def abandon_subscription(
    subscription_id: UUID, *, user_id: UUID | None = None, now: datetime
) -> SubscriptionAbandoned:
    """Voids its invoice, releases its promo code. Only after close-payments answered ``closed``.

    An abandoned one answers the same again. Raises ``subscription-not-found``,
    ``subscription-not-incomplete``.
    """
    with atomic():
        subscription = hold_subscription(subscription_id, user_id)
        account = subscription.account
        if subscription.status in ("cancelled", "expired"):
            return SubscriptionAbandoned(subscription.id, subscription.status)
        if subscription.status != "incomplete":
            raise conflict("subscription-not-incomplete", "It is paid already.", status=subscription.status)
        for invoice in subscription.invoices.filter(status="open"):
            orders.withdraw_closing(invoice, now)
            settlement.void(account, invoice, now)
        settlement.end_subscription(account, subscription, rules.Action.CANCEL, "abandoned", now)
        return SubscriptionAbandoned(subscription.id, subscription.status)


def hold_subscription(subscription_id: UUID, user_id: UUID | None = None) -> Subscription:
    """The subscription of a held account; of ``user_id`` if named. Raises ``subscription-not-found``."""
    known = Subscription.objects.filter(id=subscription_id)
    if user_id is not None:
        known = known.filter(account__user_id=user_id)
    account_id = known.values_list("account_id", flat=True).first()
    if account_id is None:
        raise not_found("subscription")
    account = locks.lock_account(account_id)
    subscription = Subscription.objects.get(id=subscription_id)
    subscription.account = account
    return subscription
