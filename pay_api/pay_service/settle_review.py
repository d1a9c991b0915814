"""Takes a person's word about a payment under review: its money was taken, was not, or was given back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Attempt, Payment, Transition
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.declines import NO_EFFECT
from pay_api.pay_service.expected_receipts import expect_income
from pay_api.pay_service.operate import end_operation
from pay_api.pay_service.payment import AttemptStatus
from pay_api.pay_service.second_charge import is_of_ended, names, told_of
from pay_api.pay_service.settle_attempt import Observation, mark_late, write_outcome
from pay_api.providers.base import Declined, Succeeded, Voided
from shared.errors import conflict, invalid, not_found
from shared.money import Money
from shared.queue.messages.payments import PaymentStatus


class Finding(StrEnum):
    """What the person saw in the provider's cabinet."""

    PAID = "paid"
    DECLINED = "declined"
    VOIDED = "voided"


_TO: Final = {
    Finding.PAID: PaymentStatus.SUCCEEDED,
    Finding.DECLINED: PaymentStatus.FAILED,
    Finding.VOIDED: PaymentStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class SettleReview:
    """``amount``: what was taken, when it was not the whole; ``transaction_id``: the provider's, where the
    payment has none yet or the review is about one of several. ``actor``: the person of staff who looked,
    ``reason``: at what."""

    payment_id: UUID
    finding: Finding
    amount: Money | None
    transaction_id: str | None
    actor: str
    reason: str
    caller: str


async def settle_review(ctx: Context, command: SettleReview) -> None:
    """Refuses with ``review-not-open`` (409), ``currency-differs``, ``amount-too-large``,
    ``amount-without-payment``, ``transaction-needed``, ``transaction-differs`` (422). The same word again
    changes nothing.

    Less than the whole settles no invoice, as a part of a bank transfer does not.
    """
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        payment, closed = await _lock(session, command.payment_id, now)
        actor, reason = f"staff:{command.actor}", f"review: {command.reason}"
        if payment.status != PaymentStatus.NEEDS_REVIEW:
            if await _was_said(session, payment, _TO[command.finding], actor, reason):
                return
            raise conflict("review-not-open", f"The payment is {payment.status}: nobody is asked about it.")
        attempt = await _attempt_of(session, payment, command.transaction_id)
        seen = _observation(payment, attempt, command)
        await _close_other(session, attempt, now)
        await _end_live_operation(session, payment, command.finding, now)
        if isinstance(seen, Succeeded):
            payment.settles_invoice = seen.amount_minor == payment.amount_minor
            if closed:
                await mark_late(session, payment)
        else:
            payment.late = payment.duplicate = False  # no money of it came after all
        if isinstance(seen, Succeeded | Voided):
            attempt.transaction_id = seen.transaction_id
        write_outcome(payment, attempt, seen, _TO[command.finding], reason, now)
        payment.awaits_card, payment.expires_at = False, None
        await transitions.step(
            session,
            payment,
            _TO[command.finding],
            actor=actor,
            reason=reason,
            now=now,
            transaction_id=attempt.transaction_id,
        )
        expect_income(ctx, session, payment, now)


async def _lock(session: AsyncSession, payment_id: UUID, now: datetime) -> tuple[Payment, bool]:
    """The locked payment, and whether its invoice was closed."""
    known = await repository.payment(session, payment_id)
    if known is None:
        raise not_found("payment")
    closed = False
    if known.invoice_id is not None:
        closed = (await repository.lock_invoice(session, known.invoice_id, now)).closed_at is not None
    payment = await repository.lock_payment(session, payment_id)
    assert payment is not None
    return payment, closed


async def _attempt_of(session: AsyncSession, payment: Payment, named: str | None) -> Attempt:
    """The attempt a person speaks of: the one of the transaction named, else the one at work."""
    attempts = await repository.lock_attempts(session, payment.id)
    if named is not None:
        reason = payment.review_reason or ""
        for attempt in attempts:
            if attempt.transaction_id == named or told_of(attempt.id, named) in reason:
                return attempt
        if await repository.attempt_by_transaction(session, payment.provider, named) is not None:
            raise invalid("transaction-differs", "This transaction is another payment's.")
    elif is_of_ended(payment.review_reason):
        raise invalid("transaction-needed", "Two cards were tried: name the transaction you speak of.")
    return await repository.live_attempt(session, payment.id) or attempts[-1]


async def _close_other(session: AsyncSession, spoken_of: Attempt, now: datetime) -> None:
    """Of a payment one attempt may live: what the other takes later is a payment of its own."""
    live = await repository.live_attempt(session, spoken_of.payment_id)
    if live is not None and live is not spoken_of:
        live.status, live.ended_at, live.next_query_at = AttemptStatus.CLOSED, now, None
        await session.flush()


async def _was_said(
    session: AsyncSession, payment: Payment, to: PaymentStatus, actor: str, reason: str
) -> bool:
    found = await session.scalar(
        select(Transition.id).where(
            Transition.payment_id == payment.id,
            Transition.from_status == PaymentStatus.NEEDS_REVIEW.value,
            Transition.to_status == to.value,
            Transition.actor == actor,
            Transition.reason == reason[:500],
        )
    )
    return found is not None


async def _end_live_operation(
    session: AsyncSession, payment: Payment, finding: Finding, now: datetime
) -> None:
    """A capture or void nobody heard of any more is over with the review."""
    operation = await repository.live_operation(session, payment.id)
    if operation is not None:
        meant = Finding.VOIDED if operation.kind == "void" else Finding.PAID
        end_operation(operation, "succeeded" if finding is meant else "failed", now)


def _observation(payment: Payment, attempt: Attempt, command: SettleReview) -> Observation:
    known, given = attempt.transaction_id, command.transaction_id
    if known is not None and given not in (None, known):
        if not names(payment.review_reason, given):
            raise invalid("transaction-differs", f"The payment's transaction is {known}.")
        known = given  # the review is about this one
    if command.finding is not Finding.PAID and command.amount is not None:
        raise invalid("amount-without-payment", "Only of a payment that was taken an amount is told.")
    if command.finding is Finding.DECLINED:
        return Declined(NO_EFFECT)
    transaction_id = known or given
    if transaction_id is None:
        raise invalid("transaction-needed", "Name the provider's transaction of this payment.")
    if command.finding is Finding.VOIDED:
        return Voided(transaction_id)
    amount = command.amount or Money(payment.amount_minor, payment.currency)
    if amount.currency != payment.currency:
        raise invalid("currency-differs", "The payment is in another currency.")
    if amount.amount > payment.amount_minor:
        raise invalid("amount-too-large", "More than the payment asks for: give back the rest first.")
    return Succeeded(transaction_id, amount.amount, payment.currency, None, test_mode=False)
