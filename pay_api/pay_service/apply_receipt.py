"""Takes in a printed fiscal receipt: finds the money it is of, and whether its sum is right."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import FiscalReceipt, Payment, Refund
from pay_api.pay_service import expected_receipts
from pay_api.providers.base import PrintedReceipt, ProviderEvent, ReceiptKind
from shared import logs

RECEIPTS: Final = Counter("fiscal_receipts_total", "Fiscal receipts told of or missed", ["kind", "outcome"])

log = logs.logger(__name__)


async def apply_receipt(
    session: AsyncSession, provider: str, event: ProviderEvent, now: datetime
) -> str | None:
    """``applied``, ``review`` (a wrong sum, or a second receipt of the same money), ``ignored`` (of nothing
    we could know), or None: the money it is of is not here (yet)."""
    printed = event.receipt
    assert printed is not None
    if not event.transaction_id and event.attempt_id is None:
        return "ignored"  # made by hand at the register, of no payment
    payment_id, refund = await _money_of(session, provider, event, printed.kind)
    payment = await repository.lock_payment(session, payment_id) if payment_id else None
    if payment is None:
        return None
    row = await _awaited(session, payment, refund, event, printed, now)
    if row is None:
        return None
    if row.provider_receipt_id is not None:
        return _told(row, "surplus")
    row.provider_receipt_id, row.issued_at = printed.receipt_id, printed.issued_at
    row.document_number, row.fiscal_sign = printed.document_number, printed.fiscal_sign
    row.device_number, row.url = printed.device_number, printed.url
    row.issued_minor, row.next_look_at = event.amount_minor, None
    agrees = (event.amount_minor, event.currency) == (row.amount_minor, row.currency)
    row.status = "issued" if agrees else "mismatch"
    return _told(row, row.status)


def _told(row: FiscalReceipt, outcome: str) -> str:
    RECEIPTS.labels(row.kind, outcome).inc()
    if outcome == "issued":
        return "applied"
    log.error(
        f"receipt-{outcome}",
        payment_id=str(row.payment_id),
        kind=row.kind,
        amount_minor=row.amount_minor,
        issued_minor=row.issued_minor,
    )
    return "review"


async def _money_of(
    session: AsyncSession, provider: str, event: ProviderEvent, kind: ReceiptKind
) -> tuple[UUID | None, Refund | None]:
    """The payment, and the refund when its own transaction is named."""
    if event.transaction_id:
        refund = await repository.refund_by_transaction(session, provider, event.transaction_id)
        if refund is not None:
            return refund.payment_id, refund
        attempt = await repository.attempt_by_transaction(session, provider, event.transaction_id)
        if attempt is not None:
            return attempt.payment_id, None
        if kind is ReceiptKind.INCOME_RETURN:
            return None, None  # of a refund not heard of yet
    try:
        attempt = await repository.attempt(session, UUID(event.attempt_id or ""))
    except ValueError:
        return None, None
    if attempt is None or attempt.provider != provider:
        return None, None
    # Another transaction under the attempt has a payment of its own (record_second_charge): not here yet.
    other = event.transaction_id and attempt.transaction_id not in (None, event.transaction_id)
    return (None if other else attempt.payment_id), None


async def _awaited(
    session: AsyncSession,
    payment: Payment,
    refund: Refund | None,
    event: ProviderEvent,
    printed: PrintedReceipt,
    now: datetime,
) -> FiscalReceipt | None:
    """The row this receipt is for; made now for money that moved before such rows were kept."""
    rows = await repository.receipts_of(session, payment.id)
    if printed.kind is ReceiptKind.INCOME:
        row = next((each for each in rows if each.refund_id is None), None)
        if row is None and payment.captured_minor:
            row = expected_receipts.of_payment(payment, now)
            session.add(row)
        return row
    of_refunds = {each.refund_id: each for each in rows if each.refund_id is not None}
    if refund is None:  # it names the payment alone: the oldest of this sum that has none
        done = [each for each in await repository.refunds_of(session, payment.id) if each.succeeded_at]
        missing = [
            each for each in done if each.amount_minor == event.amount_minor and _lacks(of_refunds, each)
        ]
        refund = missing[0] if missing else None
    if refund is None or refund.status != "succeeded":
        return None
    if refund.id not in of_refunds:
        made = expected_receipts.of_refund(payment, refund, now)
        session.add(made)
        return made
    return of_refunds[refund.id]


def _lacks(of_refunds: dict[UUID, FiscalReceipt], refund: Refund) -> bool:
    row = of_refunds.get(refund.id)
    return row is None or row.provider_receipt_id is None
