"""Phase three of a charge: writes the provider's answer into its payment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from pay_api import repository
from pay_api.models import Attempt, Payment
from pay_api.pay_service import expected_receipts
from pay_api.pay_service.context import Context
from pay_api.pay_service.first_steps import FirstSteps
from pay_api.pay_service.payment import Move
from pay_api.pay_service.settle_attempt import card_to_save, judge, settle, show_move, write_outcome
from pay_api.providers.base import ChargeOutcome, Paid
from pay_api.rows import RECEIPTS
from shared.failpoints import failpoint
from shared.writes import Write

ACTOR: Final = "provider-answer"
# Given the payment as a transaction leaves it, gives what is to be written with it: the caller's answer.
Keep = Callable[[Payment], Write]


async def write_first_verdict(
    ctx: Context, payment: Payment, attempt: Attempt, outcome: ChargeOutcome, keep: Keep | None
) -> bool:
    """Writes the answer to a payment that is still as phase one left it; False when it needs the general way.

    The UPDATE's condition on the version is the lock: the two objects are discarded when it does not hold.
    """
    _, reason, decision = judge(ctx, payment, attempt, outcome)
    if not isinstance(decision, Move) or decision.late:
        return False
    if isinstance(outcome, Paid) and card_to_save(payment, attempt, outcome) is not None:
        return False
    now, to = ctx.clock.now(), decision.to
    steps = FirstSteps.of_known(payment)
    write_outcome(payment, attempt, outcome, to, reason, now)
    steps.take(to, actor=ACTOR, reason=reason, now=now, transaction_id=attempt.transaction_id)
    besides = [keep(payment)] if keep is not None else []
    for receipt in expected_receipts.with_first_verdict(ctx, payment, now):
        besides.append(RECEIPTS.insertion(receipt, "receipt"))
    failpoint("pay.charge.in_txB")
    async with ctx.pool.connection() as connection:
        written = await steps.write_known(connection, attempt, *besides)
    if written:
        show_move(payment, decision, ACTOR)
    return written


async def write_verdict(
    ctx: Context, payment_id: UUID, attempt_id: UUID, outcome: ChargeOutcome, actor: str = ACTOR
) -> None:
    """Writes the provider's answer; one that comes after a webhook or a query changes nothing."""
    try:
        await _write(ctx, payment_id, attempt_id, outcome, actor)
    except IntegrityError:
        # Late money, and another payment took the invoice after it was looked at: now it is seen.
        await _write(ctx, payment_id, attempt_id, outcome, actor)


async def _write(
    ctx: Context, payment_id: UUID, attempt_id: UUID, outcome: ChargeOutcome, actor: str
) -> None:
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, payment_id)
        attempt = await repository.lock_attempt(session, attempt_id)
        assert payment is not None
        assert attempt is not None
        await settle(ctx, session, payment, attempt, outcome, actor=actor, now=ctx.clock.now())
        failpoint("pay.charge.in_txB")
