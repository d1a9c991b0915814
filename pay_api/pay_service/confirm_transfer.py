"""Takes a person's word that a bank transfer has come: the whole sum, or a part that settles no invoice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from pay_api import repository
from pay_api.models import Transfer
from pay_api.pay_service.context import Context
from pay_api.pay_service.settle_attempt import settle
from pay_api.providers.base import MethodKind, Succeeded
from shared.errors import conflict, invalid, not_found
from shared.money import Money
from shared.queue.messages.payments import PaymentStatus

# Money may still come after the wait has ended: it is late then, and BillingAPI decides what it pays.
_CONFIRMABLE: Final = frozenset({PaymentStatus.ACTION_REQUIRED, PaymentStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class ConfirmTransfer:
    """``actor``: the person of staff who saw ``amount`` on the account, for ``reason``."""

    payment_id: UUID
    confirmation_id: UUID
    amount: Money
    actor: str
    reason: str
    caller: str


async def confirm_transfer(ctx: Context, command: ConfirmTransfer) -> None:
    """Refuses with ``transfer-not-awaited``, ``confirmation-id-taken`` (409), ``amount-too-large``,
    ``currency-differs`` (422). The same confirmation again changes nothing.

    A part ends the payment with ``captured`` less than its amount and ``settles_invoice`` false: the
    invoice is free for a payment of the rest.
    """
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, command.payment_id)
        if payment is None or payment.method_kind != MethodKind.BANK_TRANSFER:
            raise not_found("payment")
        known = await session.get(Transfer, command.confirmation_id)
        if known is not None:
            if (known.payment_id, known.amount_minor) != (payment.id, command.amount.amount):
                raise conflict("confirmation-id-taken", "Another confirmation has this id.")
            return
        attempt = await repository.last_attempt(session, payment.id)
        if payment.status not in _CONFIRMABLE or attempt is None or attempt.transaction_id is None:
            raise conflict("transfer-not-awaited", f"The payment is {payment.status}.")
        if command.amount.currency != payment.currency:
            raise invalid("currency-differs", "The payment is in another currency.")
        if command.amount.amount > payment.amount_minor:
            raise invalid("amount-too-large", "More than the payment asks for: record the rest by itself.")
        session.add(
            Transfer(
                id=command.confirmation_id,
                payment_id=payment.id,
                amount_minor=command.amount.amount,
                actor=command.actor,
                reason=command.reason,
                caller=command.caller,
                confirmed_at=now,
            )
        )
        payment.settles_invoice = command.amount.amount == payment.amount_minor
        attempt.amount_minor = command.amount.amount
        seen = Succeeded(
            attempt.transaction_id, command.amount.amount, payment.currency, None, test_mode=False
        )
        await settle(ctx, session, payment, attempt, seen, actor=f"staff:{command.actor}", now=now)
