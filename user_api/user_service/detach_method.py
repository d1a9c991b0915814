"""Detaches a saved card: its consents end first, then PayAPI forgets it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select, update

from shared.errors import AppError, Kind, not_found
from user_api.user_service import consents
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import PaymentMethod, RecurringPayment
from user_api.user_service.queued_charges import close_queued_charges


async def detach_method(commerce: Commerce, user_id: UUID, payment_method_id: UUID) -> None:
    """Repeatable. Raises ``payment-method-not-found`` and PayAPI's refusals.

    From the first commit on nothing is charged to the card, whether or not PayAPI could be told yet; if it
    could not, user-worker tells it.
    """
    now = commerce.clock.now()
    async with commerce.sessions.begin() as session:
        # Consents before the method: the order in which a collection takes their locks.
        method = await session.get(PaymentMethod, payment_method_id)
        if method is None or method.user_id != user_id:
            raise not_found("payment-method")
        await consents.revoke_of_method(session, payment_method_id, "method-detached", now)
        method.detached_at = method.detached_at or now
        charged = await session.scalars(
            select(RecurringPayment.subscription_id)
            .where(RecurringPayment.payment_method_id == payment_method_id)
            .distinct()
        )
        subscription_ids = charged.all()
    if subscription_ids:
        await close_queued_charges(commerce, subscription_ids)
    await forget_method(commerce, user_id, payment_method_id)


async def forget_method(commerce: Commerce, user_id: UUID, payment_method_id: UUID) -> None:
    """Has PayAPI forget a card that is detached here. Repeatable; raises PayAPI's refusals."""
    try:
        await commerce.pay_api.detach_method(user_id, payment_method_id)
    except AppError as error:
        if error.kind is not Kind.NOT_FOUND:  # unknown there: nothing to forget
            raise
    async with commerce.sessions.begin() as session:
        await session.execute(
            update(PaymentMethod)
            .where(PaymentMethod.id == payment_method_id, PaymentMethod.forgotten_at.is_(None))
            .values(forgotten_at=commerce.clock.now())
        )
