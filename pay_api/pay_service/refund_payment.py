"""Refunds a captured payment, whole or in part; the parts never exceed what was captured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Payment, Refund
from pay_api.pay_service import receipts, transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.expected_receipts import expect_return
from pay_api.pay_service.ladder import next_query_at
from pay_api.pay_service.payment import IN_FLIGHT, PAID, after_refund
from pay_api.pay_service.start_payment import payment_in_progress
from pay_api.providers.base import (
    AwaitsPerson,
    Done,
    NotExecuted,
    OperationOutcome,
    Receipt,
    Refused,
    Unknown,
)
from shared import logs
from shared.errors import conflict, invalid, not_found
from shared.failpoints import failpoint
from shared.ids import new_id
from shared.money import Money
from shared.queue.messages.payments import PaymentStatus

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class RefundPayment:
    """One refund order; ``refund_order_id`` makes it happen once."""

    payment_id: UUID
    refund_order_id: UUID
    amount: Money
    reason: str
    caller: str


async def refund_payment(ctx: Context, command: RefundPayment) -> None:
    """Refuses with ``payment-not-refundable``, ``payment-in-progress`` (409), ``amount-too-large``,
    ``currency-differs`` (422). The same order asked for again changes nothing."""
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, command.payment_id)
        if payment is None:
            raise not_found("payment")
        done = await repository.refund_by(session, refund_order_id=command.refund_order_id)
        if done is not None:
            if done.payment_id != payment.id or done.amount_minor != command.amount.amount:
                raise conflict("refund-order-id-taken", "Another refund was made under this id.")
            return
        refund = await begin_refund(
            session,
            payment,
            command.amount,
            reason=command.reason,
            caller=command.caller,
            now=ctx.clock.now(),
            refund_order_id=command.refund_order_id,
        )
    await complete_refund(ctx, refund, command.caller)


async def begin_refund(
    session: AsyncSession,
    payment: Payment,
    amount: Money | None,
    *,
    reason: str,
    caller: str,
    now: datetime,
    cancellation_id: UUID | None = None,
    refund_order_id: UUID | None = None,
) -> Refund:
    """Phase one, under the payment's lock: sets the sum aside. Without ``amount``: all that is left."""
    if PaymentStatus(payment.status) in IN_FLIGHT:
        raise payment_in_progress(payment.id)
    if PaymentStatus(payment.status) not in PAID:
        raise conflict("payment-not-refundable", f"The payment is {payment.status}.")
    if amount is not None and amount.currency != payment.currency:
        raise invalid("currency-differs", "The payment is in another currency.")
    earlier = await repository.refunds_of(session, payment.id)
    left = payment.captured_minor - sum(
        refund.amount_minor for refund in earlier if refund.status != "failed"
    )
    amount_minor = amount.amount if amount else left
    if not 0 < amount_minor <= left:
        raise invalid(
            "amount-too-large",
            "More than is left to refund.",
            refundable=Money(left, payment.currency).as_json(),
        )
    attempt = await repository.live_attempt(session, payment.id)
    assert attempt is not None
    refund = Refund(
        id=new_id(),
        payment_id=payment.id,
        attempt_id=attempt.id,
        amount_minor=amount_minor,
        status="processing",
        reason=reason,
        origin="suite",
        cancellation_id=cancellation_id,
        refund_order_id=refund_order_id,
        provider=payment.provider,
        caller=caller,
        first_sent_at=now,
        last_sent_at=now,
        next_query_at=next_query_at(now, now),
        created_at=now,
    )
    session.add(refund)
    transitions.touch(payment, now)
    await session.flush()
    return refund


async def send_refund(ctx: Context, refund: Refund) -> OperationOutcome:
    """Phase two: the call, under the refund's own request id."""
    async with ctx.sessions() as session:
        attempt = await repository.attempt(session, refund.attempt_id)
        payment = await repository.payment(session, refund.payment_id)
        refunds = await repository.refunds_of(session, refund.payment_id)
    assert attempt is not None
    assert attempt.transaction_id is not None
    assert payment is not None
    position = [each.id for each in refunds].index(refund.id)
    earlier = [each.amount_minor for each in refunds[:position] if each.status != "failed"]
    lines = receipts.of_refund(
        receipts.lines_of(payment.receipt), payment.captured_minor, earlier, refund.amount_minor
    )
    return await ctx.providers[refund.provider].refund(
        refund.id,
        attempt.transaction_id,
        refund.amount_minor,
        attempt.currency,
        Receipt(lines, ctx.vault.open_payer(payment.payer_encrypted).email),
    )


async def complete_refund(ctx: Context, refund: Refund, actor: str) -> None:
    """Phases two and three."""
    outcome = await send_refund(ctx, refund)
    failpoint("refund.after_call_before_commit")
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, refund.payment_id)
        stored = await session.get(Refund, refund.id, populate_existing=True, with_for_update=True)
        assert payment is not None
        assert stored is not None
        await settle_refund(ctx, session, payment, stored, outcome, actor=actor, now=ctx.clock.now())


async def settle_refund(
    ctx: Context,
    session: AsyncSession,
    payment: Payment,
    refund: Refund,
    outcome: OperationOutcome,
    *,
    actor: str,
    now: datetime,
    note: str = "",
) -> None:
    """Phase three, for answers, notifications and queries alike; the second to come changes nothing.

    ``note``: words for the history beside the refund's own reason.
    """
    if refund.status == "succeeded":
        if isinstance(outcome, Done) and outcome.transaction_id not in (None, refund.transaction_id):
            await _adopt_other(ctx, session, payment, refund, outcome, actor, now)
        return
    match outcome:
        case Done(transaction_id):
            await _succeed(ctx, session, payment, refund, transaction_id, actor, now, note)
        case Refused(why) if refund.status != "failed":
            log.warning("refund-failed", refund_id=str(refund.id), why=why)
            refund.status, refund.next_query_at = "failed", None
            transitions.touch(payment, now)  # wakes whoever watches
            await session.flush()
            await transitions.tell_of_refunds(session, payment)
        case Refused():  # told already
            pass
        case AwaitsPerson():  # nothing to ask and nothing to send: see confirm_refund
            refund.status, refund.next_query_at = "processing", None
        case Unknown() | NotExecuted():  # money owed: the reconciler looks, and sends it again
            refund.status = "unknown"
            refund.next_query_at = next_query_at(refund.first_sent_at or refund.created_at, now)


async def _succeed(
    ctx: Context,
    session: AsyncSession,
    payment: Payment,
    refund: Refund,
    transaction_id: str | None,
    actor: str,
    now: datetime,
    note: str = "",
) -> None:
    refund.status, refund.transaction_id = "succeeded", transaction_id
    refund.succeeded_at, refund.next_query_at = now, None
    payment.refunded_minor += refund.amount_minor
    to = after_refund(payment.captured_minor, payment.refunded_minor)
    await transitions.step(
        session,
        payment,
        to,
        actor=actor,
        reason="; ".join(part for part in (f"refund {refund.id}: {refund.reason}", note) if part),
        now=now,
        transaction_id=transaction_id,
    )
    expect_return(ctx, session, payment, refund, now)


async def _adopt_other(
    ctx: Context,
    session: AsyncSession,
    payment: Payment,
    refund: Refund,
    outcome: Done,
    actor: str,
    now: datetime,
) -> None:
    """A notification of the provider's cabinet was taken for our refund: the other one counts too."""
    assert outcome.transaction_id is not None
    known = await repository.refund_by_transaction(session, refund.provider, outcome.transaction_id)
    if known is None:
        await adopt_refund(
            ctx, session, payment, refund.attempt_id, outcome.transaction_id, refund.amount_minor, actor, now
        )


def by_hand(refund: Refund) -> str:
    """The transaction of a refund that a person said was sent, until the provider tells of its own."""
    return f"by-hand-{refund.id}"


async def take_sent_by_person(
    ctx: Context,
    session: AsyncSession,
    payment: Payment,
    refunds: Sequence[Refund],
    found: Done,
    amount_minor: int,
    *,
    refund_id: str | None,
    actor: str,
    now: datetime,
) -> bool:
    """Takes money the provider tells of for a refund that had been left to people; never for a second one.

    It was sent in the provider's cabinet (then without our ``refund_id``), or ours came to light after all.
    False when no refund of ours was left to people with this sum.
    """
    assert found.transaction_id is not None
    for refund in refunds:
        if refund.amount_minor != amount_minor or refund_id not in (None, str(refund.id)):
            continue
        if refund.waits_for_person and refund.origin == "suite":
            await settle_refund(ctx, session, payment, refund, found, actor=actor, now=now)
            return True
        if refund.status == "succeeded" and refund.transaction_id == by_hand(refund):
            refund.transaction_id = found.transaction_id
            log.warning("refund-by-hand-found", refund_id=str(refund.id), transaction_id=found.transaction_id)
            await session.flush()
            return True
    return False


async def adopt_refund(
    ctx: Context,
    session: AsyncSession,
    payment: Payment,
    attempt_id: UUID,
    transaction_id: str,
    amount_minor: int,
    actor: str,
    now: datetime,
) -> bool:
    """Records a refund made in the provider's cabinet; False when it is more than is left."""
    if (
        PaymentStatus(payment.status) not in PAID
        or amount_minor > payment.captured_minor - payment.refunded_minor
    ):
        return False
    refund = Refund(
        id=new_id(),
        payment_id=payment.id,
        attempt_id=attempt_id,
        amount_minor=amount_minor,
        status="processing",
        reason="made at the provider",
        origin="provider",
        provider=payment.provider,
        caller=actor,
        created_at=now,
    )
    session.add(refund)
    await _succeed(ctx, session, payment, refund, transaction_id, actor, now)
    return True
