"""Compares our payments and refunds of the last days with the provider's register, once a day."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from prometheus_client import Counter, Gauge
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api.models import Attempt, Payment, Refund
from pay_api.pay_service.adopt_orphans import adopt_orphan
from pay_api.pay_service.context import Context
from pay_api.pay_service.payment import AttemptStatus
from pay_api.providers.base import Authorized, RegisterRow
from shared import logs

SPAN: Final = timedelta(days=3)
# Younger operations may still be on their way to us: the ladder looks after them.
SETTLED_AFTER: Final = timedelta(minutes=15)
_SLACK: Final = timedelta(minutes=1)
_RETRY_AFTER: Final = timedelta(minutes=10)
_BATCH: Final = 500
_WITH_MONEY: Final = (AttemptStatus.SUCCEEDED, AttemptStatus.AUTHORIZED)

log = logs.logger(__name__)


class Result(StrEnum):
    MATCH = "match"
    AMOUNT_DIFFERS = "amount_differs"
    OURS_ONLY = "ours_only"
    PROVIDER_ONLY = "provider_only"


COUNTS: Final = Gauge("provider_comparison", "The last daily comparison by result", ["provider", "result"])
RUNS: Final = Counter("provider_comparisons_total", "Daily comparisons", ["provider", "outcome"])


@dataclass(slots=True)
class DailyComparison:
    """Compares when a new day of the suite's clock has begun, and at the start of the process."""

    _done_on: date | None = None
    _not_before: datetime | None = None

    async def run_if_due(self, ctx: Context) -> bool:
        """True when it compared. A register that cannot be read is tried again ten minutes later."""
        now = ctx.clock.now()
        if self._done_on == now.date() or (self._not_before is not None and now < self._not_before):
            return False
        self._not_before = now + _RETRY_AFTER
        compared = await compare(ctx)
        if all(counts is not None for counts in compared.values()):
            self._done_on, self._not_before = now.date(), None
        return True


async def compare(ctx: Context) -> dict[str, Tally[Result] | None]:
    """Counts by provider; None where its register could not be read. What it alone has is adopted."""
    counted: dict[str, Tally[Result] | None] = {}
    for name, provider in ctx.providers.items():
        if not provider.keeps_register:
            continue
        now = ctx.clock.now()
        rows = await provider.read_register(now - SPAN - _SLACK, now + _SLACK)
        RUNS.labels(name, "unreadable" if rows is None else "compared").inc()
        if rows is None:
            log.warning("register-unreadable", provider=name)
            counted[name] = None
            continue
        counted[name] = counts = await _compare(ctx, name, rows, now)
        for result in Result:
            COUNTS.labels(name, result).set(counts[result])
        agree = counts.total() == counts[Result.MATCH]
        say = log.info if agree else log.error
        say("register-compared", provider=name, **{result.value: counts[result] for result in Result})
    return counted


async def _compare(ctx: Context, provider: str, rows: Sequence[RegisterRow], now: datetime) -> Tally[Result]:
    counts: Tally[Result] = Tally()
    settled_at = now - SETTLED_AFTER
    async with ctx.sessions() as session:
        orphans = await _judge(session, provider, rows, settled_at, counts)
        counts[Result.OURS_ONLY] = await _ours_only(session, provider, rows, now - SPAN, settled_at)
    counts[Result.PROVIDER_ONLY] = len(orphans)
    for row in orphans:
        try:
            await adopt_orphan(ctx, provider, row)
        except Exception as error:  # one bad row must not keep the others waiting
            log.error("orphan-not-adopted", transaction_id=row.transaction_id, exc_info=error)
    return counts


async def _judge(
    session: AsyncSession,
    provider: str,
    rows: Sequence[RegisterRow],
    settled_at: datetime,
    counts: Tally[Result],
) -> list[RegisterRow]:
    """Counts what both have; gives what the provider alone has."""
    orphans = []
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        charges = await _charges(session, provider, batch)
        refunds = await _refunds(session, provider, batch)
        for row in batch:
            if row.refund is not None:
                ours = refunds.get(row.transaction_id)
                same = None if ours is None else ours == row.refund.amount_minor
            else:
                same = _same_charge(row, charges.get(row.transaction_id))
            if same is not None:
                counts[Result.MATCH if same else Result.AMOUNT_DIFFERS] += 1
                if not same:
                    log.error("amount-differs", provider=provider, transaction_id=row.transaction_id)
            elif row.created_at <= settled_at:
                orphans.append(row)
    return orphans


def _same_charge(row: RegisterRow, ours: tuple[Attempt, Payment] | None) -> bool | None:
    """Whether the sums agree; None when we do not know of this money."""
    if ours is None or row.paid is None:
        return None
    attempt, payment = ours
    if attempt.status not in _WITH_MONEY:
        return None
    held_here, held_there = attempt.status == AttemptStatus.AUTHORIZED, isinstance(row.paid, Authorized)
    if held_here and not held_there:
        return None  # captured without our knowing
    sum_here = attempt.amount_minor if held_here else payment.captured_minor
    return held_here == held_there and (sum_here, attempt.currency) == (
        row.paid.amount_minor,
        row.paid.currency,
    )


async def _charges(
    session: AsyncSession, provider: str, rows: Sequence[RegisterRow]
) -> dict[str, tuple[Attempt, Payment]]:
    ids = [row.transaction_id for row in rows if row.refund is None]
    found = await session.execute(
        select(Attempt, Payment)
        .join(Payment, Payment.id == Attempt.payment_id)
        .where(Attempt.provider == provider, Attempt.transaction_id.in_(ids))
    )
    return {str(attempt.transaction_id): (attempt, payment) for attempt, payment in found}


async def _refunds(session: AsyncSession, provider: str, rows: Sequence[RegisterRow]) -> dict[str, int]:
    ids = [row.transaction_id for row in rows if row.refund is not None]
    found = await session.execute(
        select(Refund.transaction_id, Refund.amount_minor).where(
            Refund.provider == provider, Refund.status == "succeeded", Refund.transaction_id.in_(ids)
        )
    )
    return {str(transaction_id): amount_minor for transaction_id, amount_minor in found}


async def _ours_only(
    session: AsyncSession, provider: str, rows: Sequence[RegisterRow], since: datetime, until: datetime
) -> int:
    """How much of our money of that time the register does not show."""
    shown = {row.transaction_id for row in rows}
    charges = await session.execute(
        select(Attempt.transaction_id).where(
            Attempt.provider == provider,
            Attempt.status.in_(_WITH_MONEY),
            Attempt.created_at.between(since, until),
        )
    )
    refunds = await session.execute(
        select(Refund.transaction_id).where(
            Refund.provider == provider,
            Refund.status == "succeeded",
            Refund.succeeded_at.between(since, until),
        )
    )
    missing = sorted({str(found) for found in (*charges.scalars(), *refunds.scalars())} - shown)
    for transaction_id in missing:
        log.error("not-in-the-register", provider=provider, transaction_id=transaction_id)
    return len(missing)
