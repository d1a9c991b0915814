"""Captures an authorized payment, whole or in part; what is left of the hold is released."""

from __future__ import annotations

from uuid import UUID

from pay_api import repository
from pay_api.pay_service.context import Context
from pay_api.pay_service.operate import begin_operation, carry_out, not_held
from shared.errors import invalid, not_found
from shared.money import Money
from shared.queue.messages.payments import PaymentStatus


async def capture_payment(ctx: Context, payment_id: UUID, amount: Money | None, caller: str) -> None:
    """``amount`` is at most the hold; without it the whole is captured.

    Refuses with ``payment-not-authorized``, ``payment-in-progress`` (409), ``amount-too-large``,
    ``currency-differs`` (422), ``provider-unavailable`` (503: the hold stands as it did).
    """
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, payment_id)
        if payment is None:
            raise not_found("payment")
        if payment.status != PaymentStatus.AUTHORIZED:
            raise not_held(payment)
        if amount is not None and amount.currency != payment.currency:
            raise invalid("currency-differs", "The payment is in another currency.")
        amount_minor = amount.amount if amount else payment.amount_minor
        if amount_minor > payment.amount_minor:
            raise invalid("amount-too-large", "More than is held.")
        operation = await begin_operation(session, payment, "capture", amount_minor, "capture", caller, now)
    await carry_out(ctx, operation, caller)
