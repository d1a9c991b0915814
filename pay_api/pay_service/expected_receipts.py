"""Which fiscal receipts must come out: one of each payment that was taken, one of each refund."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from pay_api.models import FiscalReceipt, Payment, Refund
from pay_api.pay_service.context import Context
from pay_api.pay_service.ladder import next_receipt_look_at
from pay_api.providers.base import ReceiptKind
from shared.ids import new_id
from shared.queue.messages.payments import PaymentStatus


def is_awaited(ctx: Context, provider: str) -> bool:
    """Whether this provider tells of the receipts it prints."""
    connector = ctx.providers.get(provider)
    return connector is not None and connector.reports_receipts


def of_payment(payment: Payment, now: datetime) -> FiscalReceipt:
    """The receipt of the money that was captured."""
    return _expected(payment, None, ReceiptKind.INCOME, payment.captured_minor, now)


def of_refund(payment: Payment, refund: Refund, now: datetime) -> FiscalReceipt:
    return _expected(payment, refund, ReceiptKind.INCOME_RETURN, refund.amount_minor, now)


def with_first_verdict(ctx: Context, payment: Payment, now: datetime) -> list[FiscalReceipt]:
    """What a payment that has just had its first verdict waits for."""
    taken = payment.status == PaymentStatus.SUCCEEDED
    return [of_payment(payment, now)] if taken and is_awaited(ctx, payment.provider) else []


def expect_income(ctx: Context, session: AsyncSession, payment: Payment, now: datetime) -> None:
    """Of a payment that has become ``succeeded``, in the same transaction."""
    session.add_all(with_first_verdict(ctx, payment, now))


def expect_return(
    ctx: Context, session: AsyncSession, payment: Payment, refund: Refund, now: datetime
) -> None:
    if is_awaited(ctx, refund.provider):
        session.add(of_refund(payment, refund, now))


def _expected(
    payment: Payment, refund: Refund | None, kind: ReceiptKind, amount_minor: int, now: datetime
) -> FiscalReceipt:
    return FiscalReceipt(
        id=new_id(),
        payment_id=payment.id,
        refund_id=refund.id if refund is not None else None,
        kind=kind.value,
        amount_minor=amount_minor,
        currency=payment.currency,
        provider=payment.provider,
        status="pending",
        looks=0,
        next_look_at=next_receipt_look_at(now, now),
        created_at=now,
    )
