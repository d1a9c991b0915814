"""Charges merchant-initiated payments that wait in the queue, one at a time per worker task."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Payment
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.declines import METHOD_DETACHED
from pay_api.pay_service.payment import AttemptStatus
from pay_api.pay_service.settle_attempt import set_decline, settle
from pay_api.pay_service.start_payment import begin_attempt, charge_of, usable_method
from pay_api.providers.base import Charge, ChargeOutcome, NotExecuted
from shared.errors import AppError
from shared.queue.messages.payments import PaymentStatus

ACTOR: Final = "pay-worker"
# A provider that takes nothing is tried again later; after a day the payment fails and dunning goes on.
RETRY_AFTER: Final = timedelta(minutes=1)
GIVE_UP_AFTER: Final = timedelta(hours=24)


async def charge_queued(ctx: Context) -> bool:
    """Takes one queued payment and charges it; False when none was due."""
    closed = [name for name, provider in ctx.providers.items() if not provider.takes_charges()]
    async with ctx.sessions.begin() as session:
        payment = await repository.claim_queued(session, ctx.clock.now(), but=closed)
        if payment is None:
            return False
        charge = await _write_intent(ctx, session, payment)
    if charge is None:
        return True
    outcome = await ctx.providers[payment.provider].charge(charge)
    await _write_verdict(ctx, payment.id, charge.attempt_id, outcome)
    return True


async def _write_intent(ctx: Context, session: AsyncSession, payment: Payment) -> Charge | None:
    now = ctx.clock.now()
    try:
        # The share lock holds until the intent is committed: a detached method is never charged.
        method = await usable_method(ctx, session, payment)
    except AppError as error:
        set_decline(payment, METHOD_DETACHED)
        payment.next_charge_at = None
        await transitions.step(
            session, payment, PaymentStatus.FAILED, actor=ACTOR, reason=error.code, now=now
        )
        return None
    attempt = await begin_attempt(ctx, session, payment, method, ACTOR)
    return charge_of(ctx, payment, attempt, method)


async def _write_verdict(ctx: Context, payment_id: UUID, attempt_id: UUID, outcome: ChargeOutcome) -> None:
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, payment_id)
        attempt = await repository.lock_attempt(session, attempt_id)
        assert payment is not None
        assert attempt is not None
        waits = isinstance(outcome, NotExecuted) and now - payment.created_at < GIVE_UP_AFTER
        if waits and payment.status == PaymentStatus.PROCESSING:
            attempt.status, attempt.ended_at, attempt.next_query_at = AttemptStatus.CLOSED, now, None
            payment.next_charge_at = now + RETRY_AFTER
            await transitions.step(
                session,
                payment,
                PaymentStatus.CREATED,
                actor=ACTOR,
                reason="not executed, waits for its next turn",
                now=now,
                quiet=True,
            )
            return
        await settle(ctx, session, payment, attempt, outcome, actor=ACTOR, now=now)
