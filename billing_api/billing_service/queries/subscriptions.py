"""Subscriptions as bodies."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from billing_api.billing_service import subscription_terms
from billing_api.billing_service.models import PendingChange, Subscription
from billing_api.billing_service.queries.shapes import moment, span
from shared.errors import not_found


def subscriptions_of(user_id: UUID) -> QuerySet[Subscription]:
    """Newest first; for a keyset over (created_at, id)."""
    return (
        Subscription.objects.select_related("account")
        .filter(account__user_id=user_id)
        .order_by("-created_at", "-id")
    )


def find_subscription(subscription_id: UUID, user_id: UUID | None = None) -> Subscription:
    """Raises ``subscription-not-found``, for somebody else's too."""
    found = Subscription.objects.select_related("account").filter(id=subscription_id)
    if user_id is not None:
        found = found.filter(account__user_id=user_id)
    row = found.first()
    if row is None:
        raise not_found("subscription")
    return row


def subscription_view(row: Subscription) -> dict[str, Any]:
    """SubscriptionView of the contracts."""
    return {
        "id": str(row.id),
        "user_id": str(row.account.user_id),
        "kind": row.kind,
        "product_id": str(row.product_id),
        "price_id": str(row.price_id),
        "product_group": row.product_group,
        "status": row.status,
        "cancel_at_period_end": row.cancel_at_period_end,
        "grants_access": row.grants_access,
        "access_until": moment(row.access_until),
        "reduced_until": moment(subscription_terms.reduced_until(row)),
        "current_period": span(row.period_start_on, row.period_end_on),
        "trial_ends_at": moment(row.trial_ends_at),
        "term_periods": row.term_periods,
        "periods_billed": row.periods_billed,
        "next_invoice_at": None if row.cancel_at_period_end else moment(row.next_invoice_at),
        "pending_change": _pending(row),
        "latest_invoice_id": str(row.latest_invoice_id) if row.latest_invoice_id else None,
        "created_at": moment(row.created_at),
    }


def _pending(row: Subscription) -> dict[str, Any] | None:
    """The change that waits for its payment or for the period's end."""
    change = PendingChange.objects.filter(subscription=row, state="open").first()
    if change is None:
        return None
    return {
        "product_id": str(change.product_id),
        "price_id": str(change.price_id),
        "effective_on": change.effective_on.isoformat(),
        "invoice_id": str(change.invoice_id) if change.invoice_id else None,
    }
