"""Ends what has waited long enough by the suite's clock: checkouts, bank transfers, holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from pay_api import repository
from pay_api.models import Operation
from pay_api.pay_service.cancel_payment import close_payment
from pay_api.pay_service.context import Context
from pay_api.pay_service.operate import begin_operation, finish_operation, send_operation
from shared import logs
from shared.queue.messages.payments import PaymentStatus

ACTOR: Final = "expiry"
BATCH: Final = 50
# A void that was certainly not executed is tried again then.
RETRY_AFTER: Final = timedelta(minutes=10)

log = logs.logger(__name__)


async def expire_payments(ctx: Context) -> int:
    """One pass over everything due; gives how many payments were looked at."""
    async with ctx.sessions() as session:
        due = await repository.expired_payments(session, ctx.clock.now(), BATCH)
    for payment_id in due:
        try:
            await expire_payment(ctx, payment_id)
        except Exception as error:  # one bad row must not keep the others waiting
            log.error("expiry-failed", payment_id=str(payment_id), exc_info=error)
    return len(due)


async def expire_payment(ctx: Context, payment_id: UUID) -> None:
    """Closes a payment that waits for its payer, gives a hold back; does nothing before its time."""
    async with ctx.sessions.begin() as session:
        now = ctx.clock.now()
        payment = await repository.lock_payment(session, payment_id)
        if payment is None or payment.expires_at is None or payment.expires_at > now:
            return
        operation: Operation | None = None
        if payment.status == PaymentStatus.ACTION_REQUIRED:
            await close_payment(session, payment, "expired", ACTOR, now)
        elif payment.status == PaymentStatus.AUTHORIZED:
            if await repository.live_operation(session, payment.id) is not None:
                return
            reason = "the hold has expired" if payment.purpose == "invoice" else "the card was checked"
            payment.expires_at = now + RETRY_AFTER
            operation = await begin_operation(
                session, payment, "void", payment.amount_minor, reason, ACTOR, now
            )
    if operation is not None:
        outcome = await send_operation(ctx, operation)
        await finish_operation(ctx, operation.id, outcome, ACTOR)
