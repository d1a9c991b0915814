"""Cancels a payment by what its state needs: closes it, gives the hold back, or refunds what was captured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Operation, Payment, Refund
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.operate import begin_operation, carry_out
from pay_api.pay_service.payment import IN_FLIGHT, PAID, AttemptStatus
from pay_api.pay_service.refund_payment import begin_refund, complete_refund
from pay_api.pay_service.start_payment import payment_in_progress
from shared.errors import conflict, not_found
from shared.money import Money
from shared.queue.messages.payments import PaymentStatus


@dataclass(frozen=True, slots=True)
class CancelPayment:
    """``amount`` bounds a refund (default: all that is left); a void gives everything back.

    ``uncaptured_only``: money that was captured meanwhile stays where it is (``payment-not-cancellable``).
    """

    payment_id: UUID
    cancellation_id: UUID
    amount: Money | None
    reason: str
    caller: str
    uncaptured_only: bool = False


async def cancel_payment(ctx: Context, command: CancelPayment) -> None:
    """Refuses with ``payment-in-progress`` or ``payment-not-cancellable`` (409), ``amount-too-large`` (422),
    ``provider-unavailable`` (503: the hold stands as it did).

    The same cancellation asked for again changes nothing.
    """
    async with ctx.sessions.begin() as session:
        work = await _decide(ctx, session, command)
    if isinstance(work, Refund):
        await complete_refund(ctx, work, command.caller)
    elif isinstance(work, Operation):
        await carry_out(ctx, work, command.caller)


async def _decide(ctx: Context, session: AsyncSession, command: CancelPayment) -> Refund | Operation | None:
    now = ctx.clock.now()
    payment = await repository.lock_payment(session, command.payment_id)
    if payment is None:
        raise not_found("payment")
    done = await repository.refund_by(session, cancellation_id=command.cancellation_id)
    if done is not None:
        if done.payment_id != payment.id:
            raise conflict("cancellation-id-taken", "Another payment was cancelled under this id.")
        return None
    status = PaymentStatus(payment.status)
    if status in IN_FLIGHT:
        raise payment_in_progress(payment.id)
    reason = f"cancellation {command.cancellation_id}: {command.reason}"
    if status in (PaymentStatus.CREATED, PaymentStatus.ACTION_REQUIRED):
        await close_payment(session, payment, reason, command.caller, now)
        return None
    if status is PaymentStatus.AUTHORIZED:
        return await begin_operation(
            session, payment, "void", payment.amount_minor, reason, command.caller, now
        )
    if status in PAID and not command.uncaptured_only:
        return await begin_refund(
            session,
            payment,
            command.amount,
            reason=command.reason,
            caller=command.caller,
            now=now,
            cancellation_id=command.cancellation_id,
        )
    if status is PaymentStatus.CANCELLED:
        return None
    raise conflict("payment-not-cancellable", f"The payment is {payment.status}.", rule=payment.status)


async def close_payment(
    session: AsyncSession, payment: Payment, reason: str, caller: str, now: datetime
) -> None:
    """Ends a locked payment whose money has not moved; its 3-D Secure never reaches the provider."""
    attempt = await repository.live_attempt(session, payment.id)
    if attempt is not None:
        attempt.status, attempt.ended_at, attempt.next_query_at = AttemptStatus.CLOSED, now, None
    payment.next_charge_at = payment.expires_at = None
    await transitions.step(session, payment, PaymentStatus.CANCELLED, actor=caller, reason=reason, now=now)
