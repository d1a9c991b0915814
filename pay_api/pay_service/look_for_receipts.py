"""Looks after fiscal receipts that have not come: applies what was told too early, tells people the rest.

CloudPayments cannot be asked: its receipts are found by an id that only their notification tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import FiscalReceipt, Refund, Webhook
from pay_api.pay_service.apply_provider_event import apply_stored_event
from pay_api.pay_service.apply_receipt import RECEIPTS
from pay_api.pay_service.context import Context
from pay_api.pay_service.ladder import RECEIPT_OVERDUE_AFTER, next_receipt_look_at
from shared import logs

_LEASE: Final = timedelta(minutes=1)

log = logs.logger(__name__)


async def look_for_receipt(ctx: Context, receipt_id: UUID) -> None:
    """One awaited receipt whose time to be looked for has come (by the suite's clock)."""
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        found = await session.execute(
            select(FiscalReceipt)
            .where(FiscalReceipt.id == receipt_id, FiscalReceipt.next_look_at <= now)
            .with_for_update(skip_locked=True)
        )
        row = found.scalar_one_or_none()
        if row is None:
            return
        told = await _told_before(session, row)
        for webhook in told:
            webhook.outcome, webhook.applied_at = None, None
            webhook.attempts, webhook.next_try_at = 0, now
        if told:
            row.next_look_at = now + _LEASE
        else:
            _miss(row, now)
    for webhook in told:
        await apply_stored_event(ctx, webhook.id)


def _miss(row: FiscalReceipt, now: datetime) -> None:
    overdue = now - row.created_at >= RECEIPT_OVERDUE_AFTER
    row.status = "overdue" if overdue else "pending"
    row.looks += 1
    row.next_look_at = next_receipt_look_at(row.created_at, now)
    RECEIPTS.labels(row.kind, "overdue" if overdue else "missed").inc()
    say = log.error if overdue else log.warning
    say(
        "receipt-awaited",
        payment_id=str(row.payment_id),
        kind=row.kind,
        amount_minor=row.amount_minor,
        hours=round((now - row.created_at).total_seconds() / 3600, 1),
    )


async def _told_before(session: AsyncSession, row: FiscalReceipt) -> Sequence[Webhook]:
    """Receipts of this money that were told when it was not known, and given up."""
    if row.refund_id is not None:
        refund = await session.get(Refund, row.refund_id)
        assert refund is not None
        attempt_id, transaction_id = refund.attempt_id, refund.transaction_id
    else:
        attempt = await repository.live_attempt(session, row.payment_id)
        if attempt is None:
            return ()
        attempt_id, transaction_id = attempt.id, attempt.transaction_id
    return await repository.orphan_receipts(session, row.provider, transaction_id or "", attempt_id)
