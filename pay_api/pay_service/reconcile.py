"""Finds out what became of whatever has no verdict yet: asks the provider first, seldom sends again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Attempt, Payment
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.declines import AUTHENTICATION_EXPIRED, NO_EFFECT
from pay_api.pay_service.ladder import (
    GIVE_UP_AFTER,
    THREEDS_LIFETIME,
    believes_miss,
    may_resend,
    next_query_at,
    register_span,
)
from pay_api.pay_service.look_for_receipts import look_for_receipt
from pay_api.pay_service.payment import AttemptStatus
from pay_api.pay_service.reconcile_money_back import reconcile_operation, reconcile_refund
from pay_api.pay_service.settle_attempt import settle, status_after_decline
from pay_api.pay_service.start_payment import charge_of, usable_method
from pay_api.pay_service.write_verdict import write_verdict
from pay_api.providers.base import (
    Authorized,
    AwaitingPayer,
    Charge,
    Declined,
    NotExecuted,
    NotFound,
    QueryOutcome,
    Succeeded,
    Unknown,
    Voided,
)
from shared import logs
from shared.errors import AppError
from shared.failpoints import failpoint
from shared.queue.messages.payments import PaymentStatus

ACTOR: Final = "reconciler"
BATCH: Final = 20
# While one worker asks, the others leave the row alone for this long.
LEASE: Final = timedelta(seconds=60)
QUERIES: Final = Counter("reconciler_queries_total", "Questions to the provider", ["outcome"])

log = logs.logger(__name__)

_OPEN_PAYMENT: Final = (PaymentStatus.PROCESSING, PaymentStatus.UNKNOWN, PaymentStatus.ACTION_REQUIRED)


async def reconcile(ctx: Context) -> int:
    """One pass over everything that is due by the suite's clock; gives how many were looked at."""
    now = ctx.clock.now()
    async with ctx.sessions() as session:
        attempts = await repository.due_attempts(session, now, BATCH)
        operations = await repository.due_operations(session, now, BATCH)
        refunds = await repository.due_refunds(session, now, BATCH)
        receipts = await repository.due_receipts(session, now, BATCH)
    await _each(ctx, attempts, reconcile_attempt)
    await _each(ctx, operations, reconcile_operation)
    await _each(ctx, refunds, reconcile_refund)
    await _each(ctx, receipts, look_for_receipt)
    return len(attempts) + len(operations) + len(refunds) + len(receipts)


async def _each(ctx: Context, ids: Sequence[UUID], one: Callable[[Context, UUID], Awaitable[None]]) -> None:
    for row_id in ids:
        try:
            await one(ctx, row_id)
        except Exception as error:  # one bad row must not keep the others from being settled
            log.error("reconcile-failed", row_id=str(row_id), work=one.__name__, exc_info=error)


async def reconcile_attempt(ctx: Context, attempt_id: UUID) -> None:
    """Asks about one attempt and writes what the answer means."""
    attempt = await _claim(ctx, attempt_id)
    if attempt is None:
        return
    provider = ctx.providers[attempt.provider]
    found = await provider.query(attempt.id, attempt.transaction_id)
    listed: bool | None = None
    if isinstance(found, NotFound):
        span = register_span(attempt.first_sent_at, ctx.clock.now())
        listed = await provider.is_listed(attempt.id, *span)
    failpoint("reconciler.after_query_before_commit")
    QUERIES.labels(type(found).__name__.lower()).inc()
    charge = await _write(ctx, attempt, found, listed)
    if charge is not None:
        outcome = await provider.charge(charge)
        if not isinstance(outcome, NotExecuted):
            await write_verdict(ctx, attempt.payment_id, attempt.id, outcome, ACTOR)
        await _is_back(ctx, attempt)


async def _is_back(ctx: Context, sent: Attempt) -> None:
    """The call is over: an attempt it settled nothing about waits again, and its method may be detached."""
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, sent.payment_id)
        attempt = await repository.lock_attempt(session, sent.id)
        assert payment is not None
        assert attempt is not None
        if payment.status == PaymentStatus.UNKNOWN and attempt.status == AttemptStatus.STARTED:
            attempt.status = AttemptStatus.UNKNOWN


async def _claim(ctx: Context, attempt_id: UUID) -> Attempt | None:
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        found = await session.execute(
            select(Attempt)
            .where(Attempt.id == attempt_id, Attempt.next_query_at <= now)
            .with_for_update(skip_locked=True)
        )
        attempt = found.scalar_one_or_none()
        if attempt is not None:
            attempt.next_query_at = now + LEASE
            attempt.query_count += 1
        return attempt


async def _write(ctx: Context, asked: Attempt, found: QueryOutcome, listed: bool | None) -> Charge | None:
    """Re-reads everything under the locks; gives the charge to send again, if that is what is needed."""
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, asked.payment_id)
        attempt = await repository.lock_attempt(session, asked.id)
        assert payment is not None
        assert attempt is not None
        if payment.status not in _OPEN_PAYMENT or attempt.ended_at is not None:
            attempt.next_query_at = None
            return None
        was_resent = payment.status == PaymentStatus.UNKNOWN and attempt.status == AttemptStatus.STARTED
        if was_resent and now - attempt.last_sent_at >= LEASE:
            attempt.status = AttemptStatus.UNKNOWN  # whoever sent it again is gone
        match found:
            case Succeeded() | Authorized() | Declined() | Voided():
                await settle(ctx, session, payment, attempt, found, actor=ACTOR, now=now)
                return None
            case AwaitingPayer(transaction_id):
                await _still_awaited(session, payment, attempt, transaction_id, now)
                return None
            case Unknown():
                await _no_answer(ctx, session, payment, attempt, found, now)
                return None
            case NotFound():
                return await _missed(ctx, session, payment, attempt, listed, now)


async def _still_awaited(
    session: AsyncSession, payment: Payment, attempt: Attempt, transaction_id: str, now: datetime
) -> None:
    """The payer has not passed 3-D Secure; nothing was taken and without us nothing will be."""
    attempt.transaction_id = attempt.transaction_id or transaction_id
    ends_at = attempt.expires_at or attempt.first_sent_at + THREEDS_LIFETIME
    if now < ends_at or now - attempt.last_sent_at < timedelta(minutes=10):
        attempt.next_query_at = min(max(ends_at, now), next_query_at(attempt.last_sent_at, now))
        return
    payment.decline_class = AUTHENTICATION_EXPIRED.decline_class
    payment.decline_code = AUTHENTICATION_EXPIRED.code
    await _fail(session, payment, attempt, "3-D Secure was not finished in time", now)


async def _no_answer(
    ctx: Context, session: AsyncSession, payment: Payment, attempt: Attempt, found: Unknown, now: datetime
) -> None:
    if now - attempt.first_sent_at >= GIVE_UP_AFTER:
        reason = "no verdict after a day of questions"
        payment.review_reason, attempt.status = reason, AttemptStatus.UNKNOWN
        attempt.next_query_at = None
        await transitions.step(
            session, payment, PaymentStatus.NEEDS_REVIEW, actor=ACTOR, reason=reason, now=now
        )
        return
    if payment.status == PaymentStatus.PROCESSING:
        await settle(ctx, session, payment, attempt, found, actor=ACTOR, now=now)
    attempt.last_missed_at = None  # two misses count only one after the other
    attempt.next_query_at = next_query_at(attempt.first_sent_at, now)


async def _missed(
    ctx: Context,
    session: AsyncSession,
    payment: Payment,
    attempt: Attempt,
    listed: bool | None,
    now: datetime,
) -> Charge | None:
    """The provider does not know the attempt (yet)."""
    if listed is not False:  # in the register, or the register could not be read: nothing is certain
        await _no_answer(ctx, session, payment, attempt, Unknown("not found, register unclear"), now)
        return None
    charge = await _charge_again(ctx, session, payment, attempt, now)
    if charge is not None:
        # At work from this commit on: the method cannot be detached before the call is over.
        attempt.status = AttemptStatus.STARTED
        attempt.last_sent_at = now
        attempt.last_missed_at = None
        attempt.next_query_at = next_query_at(attempt.first_sent_at, now)
        return charge
    if believes_miss(attempt.last_sent_at, attempt.last_missed_at, now):
        payment.decline_class, payment.decline_code = NO_EFFECT.decline_class, NO_EFFECT.code
        await _fail(session, payment, attempt, "the provider never took it", now)
        return None
    if payment.status == PaymentStatus.PROCESSING:
        # Whoever sent it is gone, or has been waiting for long: the payer hears that it is being looked into.
        await settle(ctx, session, payment, attempt, Unknown("not found so far"), actor=ACTOR, now=now)
    attempt.last_missed_at = attempt.last_missed_at or now
    attempt.next_query_at = min(
        next_query_at(attempt.first_sent_at, now),
        max(attempt.last_sent_at + timedelta(minutes=10), now + timedelta(minutes=2)),
    )
    return None


async def _charge_again(
    ctx: Context, session: AsyncSession, payment: Payment, attempt: Attempt, now: datetime
) -> Charge | None:
    """The same charge under the same id; only by a saved method (a cryptogram is never stored)."""
    if attempt.payment_method_id is None or attempt.transaction_id is not None:
        return None
    if not may_resend(attempt.first_sent_at, attempt.last_sent_at, now):
        return None
    try:
        method = await usable_method(ctx, session, payment)
    except AppError:
        return None
    return charge_of(ctx, payment, attempt, method)


async def _fail(
    session: AsyncSession, payment: Payment, attempt: Attempt, reason: str, now: datetime
) -> None:
    attempt.status, attempt.ended_at, attempt.next_query_at = AttemptStatus.CLOSED, now, None
    to = status_after_decline(payment)
    await transitions.step(session, payment, to, actor=ACTOR, reason=reason, now=now)
