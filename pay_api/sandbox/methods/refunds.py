"""Refunds: whole or in part, several for one payment, never above what is left of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pay_api.sandbox.envelope import Answer, succeeded
from pay_api.sandbox.parameters import Refused
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call
from pay_api.sandbox.transaction import TransactionType

REFUNDABLE: Final = timedelta(days=365)


@answers("payments/refund")
async def refund(call: Call) -> Answer:
    """Gives back a payment, whole or in part."""
    payment = call.transaction()
    amount = call.parameters.amount(payment.currency)
    if call.terminal.clock.now() - payment.created_at > REFUNDABLE:
        raise Refused("Payment is too old to be refunded")
    back = call.new_transaction(TransactionType.REFUND, amount.minor, amount.currency)
    back.original_id = payment.id
    # A refund is found by the invoice of its payment and carries its card.
    for name in (
        "invoice_id",
        "account_id",
        "email",
        "description",
        "culture_name",
        "card_first_six",
        "card_last_four",
        "card_exp_date",
        "card_type",
        "card_type_code",
    ):
        setattr(back, name, getattr(payment, name))
    call.refund(payment, back)
    return succeeded({"TransactionId": back.id})
