"""Closes an invoice's payments, so that BillingAPI may void it: no money of it can move afterwards."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Operation
from pay_api.pay_service.cancel_payment import close_payment
from pay_api.pay_service.context import Context
from pay_api.pay_service.operate import begin_operation, finish_operation, send_operation
from pay_api.pay_service.payment import PAID
from shared.queue.messages.payments import PaymentStatus

_REASON = "the invoice is closed"


class Closing(StrEnum):
    CLOSED = "closed"
    IN_FLIGHT = "in_flight"
    PAID = "paid"


async def close_invoice(ctx: Context, invoice_id: UUID, caller: str) -> Closing:
    """Under the invoice's lock: closes created and action_required payments, voids authorized ones.

    Only after ``closed`` the invoice refuses later payments: with any other answer BillingAPI keeps it
    open and waits for the payment's event.
    """
    async with ctx.sessions.begin() as session:
        voids = await _close_idle(ctx, session, invoice_id, caller)
    for operation in voids:
        outcome = await send_operation(ctx, operation)
        await finish_operation(ctx, operation.id, outcome, caller)
    async with ctx.sessions.begin() as session:
        now = ctx.clock.now()
        invoice = await repository.lock_invoice(session, invoice_id, now)
        live = {
            PaymentStatus(payment.status)
            for payment in await repository.lock_live_payments(session, invoice_id)
            if payment.settles_invoice
        }
        if live & PAID:
            return Closing.PAID
        if live:
            return Closing.IN_FLIGHT
        invoice.closed_at = invoice.closed_at or now
        return Closing.CLOSED


async def _close_idle(ctx: Context, session: AsyncSession, invoice_id: UUID, caller: str) -> list[Operation]:
    now = ctx.clock.now()
    await repository.lock_invoice(session, invoice_id, now)
    voids = []
    for payment in await repository.lock_live_payments(session, invoice_id):
        status = PaymentStatus(payment.status)
        if status in (PaymentStatus.CREATED, PaymentStatus.ACTION_REQUIRED):
            await close_payment(session, payment, _REASON, caller, now)
            continue
        busy = await repository.live_operation(session, payment.id) is not None
        if status is PaymentStatus.AUTHORIZED and not busy:
            voids.append(
                await begin_operation(session, payment, "void", payment.amount_minor, _REASON, caller, now)
            )
    return voids
