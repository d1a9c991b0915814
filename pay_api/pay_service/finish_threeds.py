"""Ends 3-D Secure: takes the bank's word from the payer's browser to the provider, once."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pay_api import repository
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.expire_payments import expire_payment
from pay_api.pay_service.ladder import next_query_at
from pay_api.pay_service.payment import AttemptStatus
from pay_api.pay_service.write_verdict import write_verdict
from pay_api.providers.base import NotExecuted, Unknown
from shared.errors import not_found
from shared.ids import new_id
from shared.queue.messages.payments import PaymentStatus

ACTOR: Final = "payer"


async def finish_threeds(ctx: Context, payment_id: UUID, transaction_id: str, pa_res: str) -> None:
    """Does nothing for a payment that is closed, expired, settled or already being finished.

    ``transaction_id`` is the MD the bank sent back: it must be the challenge's own.
    """
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, payment_id)
        if payment is None:
            raise not_found("payment")
        attempt = await repository.live_attempt(session, payment_id)
        if payment.status != PaymentStatus.ACTION_REQUIRED or attempt is None:
            return
        if attempt.status != AttemptStatus.CHALLENGE or attempt.transaction_id != transaction_id:
            return
        if attempt.expires_at is None or attempt.expires_at <= now:
            return  # the reconciler ends it, after a look at the provider
        request_id = new_id()
        attempt.threeds_request_id = request_id
        attempt.status = AttemptStatus.STARTED
        attempt.first_sent_at = attempt.last_sent_at = now
        attempt.last_missed_at = None
        attempt.next_query_at = next_query_at(now, now)
        await transitions.step(
            session,
            payment,
            PaymentStatus.PROCESSING,
            actor=ACTOR,
            reason="3-D Secure answered",
            now=now,
            transaction_id=transaction_id,
        )
    outcome = await ctx.providers[attempt.provider].finish_threeds(request_id, transaction_id, pa_res)
    if isinstance(outcome, NotExecuted):
        # The bank's word is not kept, so nobody can send it again: the provider is asked how it stands.
        outcome = Unknown(outcome.why)
    await write_verdict(ctx, payment_id, attempt.id, outcome)
    # A card that was only checked has its hold given back now; everything else has its time.
    await expire_payment(ctx, payment_id)
