"""Finds out what became of captures, voids and refunds without a verdict; repeats what was not done."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Attempt, Operation, Payment, Refund
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.ladder import (
    GIVE_UP_AFTER,
    RESEND_FROM,
    believes_miss,
    may_resend,
    next_query_at,
    register_span,
)
from pay_api.pay_service.operate import (
    ask_a_person,
    end_operation,
    finish_operation,
    send_operation,
)
from pay_api.pay_service.refund_payment import complete_refund, settle_refund
from pay_api.pay_service.settle_attempt import settle
from pay_api.providers.base import Authorized, Done, Succeeded, Voided
from shared import logs

ACTOR: Final = "reconciler"
LEASE: Final = timedelta(seconds=60)

log = logs.logger(__name__)


async def reconcile_operation(ctx: Context, operation_id: UUID) -> None:
    """Asks how the hold stands: captured, given back, or still held; then it is sent again."""
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        claimed = await session.execute(
            select(Operation)
            .where(Operation.id == operation_id, Operation.next_query_at <= now)
            .with_for_update(skip_locked=True)
        )
        operation = claimed.scalar_one_or_none()
        if operation is None:
            return
        operation.next_query_at = now + LEASE
        attempt = await repository.attempt(session, operation.attempt_id)
    assert attempt is not None
    found = await ctx.providers[attempt.provider].query(attempt.id, attempt.transaction_id)
    if isinstance(found, (Succeeded, Voided)):
        await _end(ctx, operation, attempt, found)
        return
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, operation.payment_id)
        stored = await session.get(Operation, operation_id, populate_existing=True, with_for_update=True)
        assert payment is not None
        assert stored is not None
        if stored.status not in ("started", "unknown"):
            return
        if now - stored.first_sent_at >= GIVE_UP_AFTER:
            await _give_up_operation(
                session, payment, stored, still_held=isinstance(found, Authorized), now=now
            )
            return
        again = isinstance(found, Authorized) and now - stored.last_sent_at >= RESEND_FROM
        stored.status = "unknown"
        stored.next_query_at = next_query_at(stored.first_sent_at, now)
        if again:
            # It is held still, so nothing was done: a capture or void cannot happen twice to one hold.
            stored.last_sent_at = now
    if again:
        await finish_operation(ctx, operation_id, await send_operation(ctx, operation), ACTOR)


async def _give_up_operation(
    session: AsyncSession, payment: Payment, operation: Operation, *, still_held: bool, now: datetime
) -> None:
    """After a day nothing is sent any more. A hold that stands was never touched: it is free again.

    When the provider does not even say how it stands, a person looks.
    """
    _report(operation.kind, operation.id, operation.payment_id)
    if still_held or payment.purpose != "invoice":
        end_operation(operation, "failed", now)
        return
    operation.status, operation.next_query_at = "unknown", None
    await ask_a_person(session, payment, f"no verdict of a {operation.kind} after a day", ACTOR, now)


def _report(kind: str, row_id: UUID, payment_id: UUID) -> None:
    log.error("money-back-needs-review", kind=kind, row_id=str(row_id), payment_id=str(payment_id))


async def _end(ctx: Context, operation: Operation, attempt: Attempt, found: Succeeded | Voided) -> None:
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, operation.payment_id)
        stored = await session.get(Operation, operation.id, populate_existing=True, with_for_update=True)
        locked = await repository.lock_attempt(session, attempt.id)
        assert payment is not None
        assert stored is not None
        assert locked is not None
        done = isinstance(found, Voided) == (stored.kind == "void")
        if stored.status in ("started", "unknown"):
            end_operation(stored, "succeeded" if done else "failed", now)
        await settle(ctx, session, payment, locked, found, actor=ACTOR, now=now)


async def reconcile_refund(ctx: Context, refund_id: UUID) -> None:
    """Looks for the refund in the provider's register; sends it again when it is certain not to be there."""
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        claimed = await session.execute(
            select(Refund)
            .where(Refund.id == refund_id, Refund.next_query_at <= now)
            .with_for_update(skip_locked=True)
        )
        refund = claimed.scalar_one_or_none()
        if refund is None:
            return
        refund.next_query_at = now + LEASE
        attempt = await repository.attempt(session, refund.attempt_id)
    assert attempt is not None
    assert attempt.transaction_id is not None
    span = register_span(refund.created_at, now)
    rows = await ctx.providers[refund.provider].list_refunds(attempt.transaction_id, *span)
    again = False
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, refund.payment_id)
        stored = await session.get(Refund, refund_id, populate_existing=True, with_for_update=True)
        assert payment is not None
        assert stored is not None
        if stored.status not in ("processing", "unknown"):
            stored.next_query_at = None
            return
        ours = next((row for row in rows or () if row.refund_id == refund_id), None)
        if ours is not None:
            await settle_refund(
                ctx, session, payment, stored, Done(ours.transaction_id), actor=ACTOR, now=now
            )
            return
        stored.status = "unknown"
        first, last = stored.first_sent_at or stored.created_at, stored.last_sent_at or stored.created_at
        if now - first >= GIVE_UP_AFTER:
            # A notification or the daily comparison may still tell; nothing is sent by itself any more.
            stored.next_query_at = None
            _report("refund", stored.id, stored.payment_id)
            transitions.touch(payment, now)
            await session.flush()
            await transitions.tell_of_refunds(session, payment)
            return
        stored.next_query_at = next_query_at(first, now)
        if rows is not None:
            # Past the provider's memory of the request id, only two misses apart make a new sending safe.
            again = may_resend(first, last, now) or believes_miss(last, stored.last_missed_at, now)
            stored.last_missed_at = None if again else (stored.last_missed_at or now)
            if again:
                stored.last_sent_at = now
                stored.next_query_at = next_query_at(now, now)
    if again:
        await complete_refund(ctx, refund, ACTOR)
