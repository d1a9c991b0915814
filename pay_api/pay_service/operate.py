"""Carries out a capture or a void of a hold, in three phases; used by the commands that need one."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Attempt, Operation, Payment
from pay_api.pay_service import receipts, transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.ladder import next_query_at
from pay_api.pay_service.settle_attempt import settle
from pay_api.pay_service.start_payment import payment_in_progress
from pay_api.providers.base import (
    AwaitsPerson,
    Done,
    NotExecuted,
    OperationOutcome,
    Receipt,
    Refused,
    Succeeded,
    Unknown,
    Voided,
)
from shared import logs
from shared.errors import AppError, conflict, unavailable
from shared.ids import new_id
from shared.queue.messages.payments import PaymentStatus

REFUSED: Final = Counter("payment_operations_refused_total", "Captures and voids refused", ["kind"])

log = logs.logger(__name__)


async def begin_operation(
    session: AsyncSession,
    payment: Payment,
    kind: str,
    amount_minor: int,
    reason: str,
    caller: str,
    now: datetime,
) -> Operation:
    """Phase one of a capture or void (``kind``) of a locked authorized payment.

    Raises ``payment-in-progress`` (409) while another one is at work.
    """
    if await repository.live_operation(session, payment.id) is not None:
        raise operation_in_progress(payment.id)
    attempt = await repository.live_attempt(session, payment.id)
    assert attempt is not None
    operation = Operation(
        id=new_id(),
        payment_id=payment.id,
        attempt_id=attempt.id,
        kind=kind,
        amount_minor=amount_minor,
        status="started",
        reason=reason,
        caller=caller,
        first_sent_at=now,
        last_sent_at=now,
        next_query_at=next_query_at(now, now),
        created_at=now,
    )
    session.add(operation)
    await session.flush()
    return operation


def operation_in_progress(payment_id: UUID) -> AppError:
    refusal = payment_in_progress(payment_id)
    refusal.detail = "Something else is being done to this payment; its outcome is awaited."
    refusal.retry_after_seconds = 1
    return refusal


async def send_operation(ctx: Context, operation: Operation) -> OperationOutcome:
    """Phase two: the call, with the operation's own request id."""
    async with ctx.sessions() as session:
        attempt = await repository.attempt(session, operation.attempt_id)
        payment = await repository.payment(session, operation.payment_id)
    assert attempt is not None
    assert attempt.transaction_id is not None
    assert payment is not None
    provider = ctx.providers[attempt.provider]
    if operation.kind == "void":
        return await provider.void(operation.id, attempt.transaction_id)
    lines = receipts.of_capture(receipts.lines_of(payment.receipt), operation.amount_minor)
    return await provider.capture(
        operation.id,
        attempt.transaction_id,
        operation.amount_minor,
        attempt.currency,
        Receipt(lines, ctx.vault.open_payer(payment.payer_encrypted).email),
    )


async def carry_out(ctx: Context, operation: Operation, actor: str) -> None:
    """Phases two and three for a caller who waits.

    Raises ``provider-unavailable`` (503) when it was certainly not executed: nobody else sends it again, so
    that answer must not be kept as the end of it.
    """
    outcome = await send_operation(ctx, operation)
    await finish_operation(ctx, operation.id, outcome, actor)
    if isinstance(outcome, NotExecuted):
        raise unavailable(
            "provider-unavailable",
            "The payment provider does not answer just now. Nothing was done; try again in a minute.",
            30,
        )


async def finish_operation(ctx: Context, operation_id: UUID, outcome: OperationOutcome, actor: str) -> None:
    """Phase three. Not executed and refused leave the payment held; unknown leaves it to the reconciler."""
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        found = await session.get(Operation, operation_id)
        assert found is not None
        payment = await repository.lock_payment(session, found.payment_id)
        assert payment is not None
        operation = await session.get(Operation, operation_id, populate_existing=True, with_for_update=True)
        attempt = await repository.lock_attempt(session, found.attempt_id)
        assert operation is not None
        assert attempt is not None
        if operation.status not in ("started", "unknown"):
            return
        match outcome:
            case Done():
                end_operation(operation, "succeeded", now)
                await settle(
                    ctx, session, payment, attempt, _effect(operation, attempt), actor=actor, now=now
                )
            case Refused(why) | AwaitsPerson(why):
                await _refused(session, payment, operation, why, actor, now)
            case NotExecuted():
                end_operation(operation, "failed", now)
            case Unknown():
                operation.status = "unknown"
                operation.next_query_at = next_query_at(operation.first_sent_at, now)


async def _refused(
    session: AsyncSession, payment: Payment, operation: Operation, why: str, actor: str, now: datetime
) -> None:
    """It may have been refused because it had been done before: only the state itself tells.

    It is sent a second time only to a hold that stands; refused again, it is over and people are told.
    """
    REFUSED.labels(operation.kind).inc()
    log.error(
        "operation-refused",
        kind=operation.kind,
        operation_id=str(operation.id),
        payment_id=str(payment.id),
        why=why,
    )
    if operation.refusal is None:
        operation.refusal = why[:500]
        operation.status, operation.next_query_at = "unknown", now
        return
    end_operation(operation, "failed", now)
    if operation.kind == "void":
        await ask_a_person(session, payment, f"the hold is not given back: {why}", actor, now)


async def ask_a_person(
    session: AsyncSession, payment: Payment, reason: str, actor: str, now: datetime
) -> None:
    """Puts a held purchase under review; its attempt stays as it is, later news still settle it.

    The hold of a card check is not worth a person: it ends by itself.
    """
    if payment.status != PaymentStatus.AUTHORIZED or payment.purpose != "invoice":
        return
    payment.review_reason, payment.expires_at = reason[:500], None
    await transitions.step(session, payment, PaymentStatus.NEEDS_REVIEW, actor=actor, reason=reason, now=now)


def _effect(operation: Operation, attempt: Attempt) -> Succeeded | Voided:
    assert attempt.transaction_id is not None
    if operation.kind == "void":
        return Voided(attempt.transaction_id)
    return Succeeded(attempt.transaction_id, operation.amount_minor, attempt.currency, None, test_mode=False)


def end_operation(operation: Operation, status: str, now: datetime) -> None:
    operation.status, operation.ended_at, operation.next_query_at = status, now, None


def not_held(payment: Payment) -> AppError:
    return conflict("payment-not-authorized", f"The payment is {payment.status}, not authorized.")
