"""Ends a consent: no later charge of the subscription begins, and one still queued at PayAPI is closed."""

from __future__ import annotations

from uuid import UUID

from shared.errors import not_found
from user_api.user_service import consents
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import RecurringPayment
from user_api.user_service.queued_charges import close_queued_charges


async def revoke_recurring_payment(commerce: Commerce, user_id: UUID, recurring_payment_id: UUID) -> None:
    """Repeatable. Raises ``recurring-payment-not-found``, and NoAnswer or ``charge-in-flight`` (503) when
    what is queued at PayAPI could not be closed.

    The consent has ended by then all the same; user-worker closes what is left, or the next call does.
    """
    now = commerce.clock.now()
    async with commerce.sessions.begin() as session:
        row = await session.get(RecurringPayment, recurring_payment_id)
        if row is None or row.user_id != user_id:
            raise not_found("recurring-payment")
        await consents.lock_of_subscription(session, row.subscription_id)
        if row.status != "revoked":
            consents.revoke(row, "revoked-by-customer", now)
    await close_queued_charges(commerce, [row.subscription_id])
