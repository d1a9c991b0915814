"""Ends a consent: no later charge of the subscription begins, and one still queued at PayAPI is closed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from shared import logs
from shared.errors import AppError, Kind, not_found
from shared.ids import derived_id
from shared.queue.messages.payments import PaymentStatus
from user_api.user_service import consents
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import Payment, RecurringPayment

REASON = "consent-revoked"

log = logs.logger(__name__)


async def revoke_recurring_payment(commerce: Commerce, user_id: UUID, recurring_payment_id: UUID) -> None:
    """Repeatable. Raises ``recurring-payment-not-found`` and NoAnswer when PayAPI could not be reached.

    The consent has ended by then all the same: what PayAPI holds is closed when this is called again.
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


async def close_queued_charges(commerce: Commerce, subscription_ids: Sequence[UUID]) -> None:
    """Closes merchant-initiated payments of these subscriptions that PayAPI has not begun to charge."""
    async with commerce.sessions() as session:
        found = await session.scalars(
            select(Payment.id)
            .where(
                Payment.subscription_id.in_(subscription_ids),
                Payment.initiator == "merchant",
                Payment.status == PaymentStatus.CREATED.value,
            )
            .order_by(Payment.id)
        )
        payment_ids = found.all()
    for payment_id in payment_ids:
        await _close(commerce, payment_id)


async def _close(commerce: Commerce, payment_id: UUID) -> None:
    try:
        view = await commerce.pay_api.get_payment(payment_id)
        if view.status is not PaymentStatus.CREATED:
            return  # being charged or over: no longer queued, and a cancel would now mean a refund
        await commerce.pay_api.cancel_payment(payment_id, derived_id(payment_id, "revoked"), None, REASON)
    except AppError as error:
        if error.kind is Kind.UNAVAILABLE:
            raise
        # Unknown there, or taken up by the charger in this very moment.
        log.info("queued-charge-not-closed", payment_id=str(payment_id), code=error.code)
