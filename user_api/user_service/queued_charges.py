"""Closes automatic charges that PayAPI has not begun, once nothing permits them any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select, true

from shared import logs
from shared.errors import AppError, Kind, unavailable
from shared.ids import derived_id
from shared.queue.messages.payments import PaymentStatus
from user_api.clients.pay_api import PaymentView
from user_api.user_service import payment_copy
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import Payment, RecurringPayment

REASON: Final = "consent-revoked"
# A collection's call to PayAPI is over by then, whatever became of it (PayAPI's time-out is 25 s).
SENT_BY: Final = timedelta(seconds=30)
POLL_SECONDS: Final = 0.1
MOST_POLLS: Final = 30

_PERMITTED: Final = exists().where(
    RecurringPayment.subscription_id == Payment.subscription_id, RecurringPayment.status == "active"
)
_UNPERMITTED: Final = (
    Payment.initiator == "merchant",
    Payment.status == PaymentStatus.CREATED.value,
    Payment.subscription_id.is_not(None),
    ~_PERMITTED,
)

log = logs.logger(__name__)


async def close_queued_charges(commerce: Commerce, subscription_ids: Sequence[UUID]) -> None:
    """Closes what is queued of these subscriptions, unless another consent of theirs holds.

    The consent's end is committed by now, so no later charge can begin. Raises NoAnswer when PayAPI could
    not be reached and ``charge-in-flight`` (503) when a collection is on its way there and cannot be caught.
    """
    for payment_id in await _find(commerce, Payment.subscription_id.in_(subscription_ids)):
        await _close(commerce, payment_id, polls=MOST_POLLS)


async def close_unpermitted_charges(commerce: Commerce, limit: int) -> int:
    """Closes what is queued without a consent: what a process that died left behind. Gives how many.

    The newest first: one that nobody can close does not keep the others waiting.
    """
    found = await _find(commerce, true(), limit)
    for payment_id in found:
        try:
            await _close(commerce, payment_id, polls=0)
        except AppError as error:
            log.info("queued-charge-left-for-the-next-turn", payment_id=str(payment_id), code=error.code)
    return len(found)


async def _find(commerce: Commerce, which: ColumnElement[bool], limit: int | None = None) -> Sequence[UUID]:
    newest_first = select(Payment.id).where(which, *_UNPERMITTED).order_by(Payment.id.desc())
    async with commerce.sessions() as session:
        return (await session.scalars(newest_first.limit(limit))).all()


async def _keep(commerce: Commerce, seen: PaymentView) -> None:
    """The charge as it is now: no longer queued here either, so nobody asks for it again."""
    async with commerce.sessions.begin() as session:
        await payment_copy.store(session, payment_copy.word_of_view(seen), commerce.clock.now())


async def _close(commerce: Commerce, payment_id: UUID, *, polls: int) -> None:
    """Closes one; it is looked for again while a collection may still be bringing it to PayAPI."""
    was_known = False
    for turn in range(polls + 1):
        if turn:
            await asyncio.sleep(POLL_SECONDS)
        seen = None
        try:
            seen = await commerce.pay_api.get_payment(payment_id)
            seen = await commerce.pay_api.cancel_payment(
                payment_id, derived_id(payment_id, "revoked"), None, REASON, uncaptured_only=True
            )
            await _keep(commerce, seen)
            return
        except AppError as error:
            if error.kind is Kind.UNAVAILABLE:
                raise
            if error.kind is not Kind.NOT_FOUND:
                # Taken up by the charger in this very moment, or over: no longer queued.
                if seen is not None:
                    await _keep(commerce, seen)
                log.info("queued-charge-not-closed", payment_id=str(payment_id), code=error.code)
                return
        async with commerce.sessions() as session:
            row = await session.get(Payment, payment_id)
        if row is None or was_known:
            return  # refused there, or PayAPI does not have what it once had
        was_known = row.known_at is not None
        # A run of the collection that begins after the revocation is refused here; an earlier one may be
        # between its commit and PayAPI.
        if not was_known and commerce.clock.now() >= row.updated_at + SENT_BY:
            return
    raise unavailable("charge-in-flight", "A charge is just being handed over. Try again.", 2)
