"""Cancels, takes a cancellation back, pauses and resumes: what BillingAPI does without any payment."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from shared.errors import not_found
from shared.ids import derived_id
from user_api.clients.billing_api import SubscriptionView
from user_api.user_service.commerce import Commerce


async def own_subscription(commerce: Commerce, user_id: UUID, subscription_id: UUID) -> SubscriptionView:
    """BillingAPI's view; ``subscription-not-found`` for a foreign one, as for none."""
    subscription = await commerce.billing_api.get_subscription(subscription_id)
    if subscription.user_id != user_id:
        raise not_found("subscription")
    return subscription


async def cancel_subscription(
    commerce: Commerce,
    user_id: UUID,
    subscription_id: UUID,
    *,
    mode: Literal["period_end", "now"],
    refund_unused: bool,
    request_id: UUID,
) -> dict[str, Any]:
    """BillingAPI's answer; rights follow by its event. Raises its refusals with their codes."""
    await own_subscription(commerce, user_id, subscription_id)
    body: dict[str, Any] = {"mode": mode}
    if refund_unused:
        body["refund_unused"] = True
    key = derived_id(request_id, "cancel")
    return await commerce.billing_api.command_subscription(subscription_id, "cancel", body, key)


async def reactivate_subscription(
    commerce: Commerce, user_id: UUID, subscription_id: UUID, request_id: UUID
) -> dict[str, Any]:
    """Takes back a cancellation scheduled for the period's end."""
    await own_subscription(commerce, user_id, subscription_id)
    key = derived_id(request_id, "reactivate")
    return await commerce.billing_api.command_subscription(subscription_id, "reactivate", {}, key)


async def pause_subscription(
    commerce: Commerce, user_id: UUID, subscription_id: UUID, request_id: UUID
) -> dict[str, Any]:
    """No invoices and no access until it is resumed; the paid days are kept."""
    await own_subscription(commerce, user_id, subscription_id)
    key = derived_id(request_id, "pause")
    return await commerce.billing_api.command_subscription(subscription_id, "pause", {}, key)


async def resume_subscription(
    commerce: Commerce, user_id: UUID, subscription_id: UUID, request_id: UUID
) -> dict[str, Any]:
    """Gives the kept days from today."""
    await own_subscription(commerce, user_id, subscription_id)
    key = derived_id(request_id, "resume")
    return await commerce.billing_api.command_subscription(subscription_id, "resume", {}, key)
