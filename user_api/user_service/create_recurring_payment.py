"""Records the user's consent to automatic charges of a subscription with a saved method."""

from __future__ import annotations

from uuid import UUID

from shared.errors import conflict, not_found
from shared.queue.messages.invoices import SubscriptionStatus
from user_api.user_service import consents
from user_api.user_service.change_recurring_payment import retry_open_invoices
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import RecurringPayment
from user_api.user_service.consents import Consent
from user_api.user_service.start_payment import SavedMethod, require_method

_OVER = (SubscriptionStatus.CANCELLED, SubscriptionStatus.EXPIRED)


async def create_recurring_payment(
    commerce: Commerce, user_id: UUID, subscription_id: UUID, payment_method_id: UUID, consent: Consent
) -> RecurringPayment:
    """The consent is active at once, replaces an earlier one, and collects what is open already.

    Raises ``subscription-not-found``, ``subscription-over`` (409), ``subscription-is-one-time`` (409),
    ``payment-method-not-found``.
    """
    subscription = await commerce.billing_api.get_subscription(subscription_id)
    if subscription.user_id != user_id:
        raise not_found("subscription")
    if subscription.kind != "recurring":
        raise conflict("subscription-is-one-time", "A one-time purchase is charged once.")
    if subscription.status in _OVER:
        raise conflict("subscription-over", "This subscription has ended.")
    now = commerce.clock.now()
    async with commerce.sessions.begin() as session:
        await consents.lock_of_subscription(session, subscription_id)
        await require_method(session, user_id, SavedMethod(payment_method_id))
        row = consents.record(
            session,
            consent,
            user_id=user_id,
            subscription_id=subscription_id,
            payment_id=None,
            payment_method_id=payment_method_id,
            now=now,
        )
        await session.flush()
        await consents.activate(session, row, payment_method_id, now)
    if subscription.status is not SubscriptionStatus.INCOMPLETE:  # a purchase is the user's own to pay
        await retry_open_invoices(commerce, row)
    return row
