"""Gives up what is due of an open invoice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import settlement
from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.commands.adjust_charge import hold_invoice
from billing_api.billing_service.database import atomic
from shared.errors import conflict
from shared.money import Money


@dataclass(frozen=True, slots=True)
class WrittenOff:
    """``ends_subscription``: its period is then neither paid nor asked for."""

    invoice_id: UUID
    amount: Money
    status: str
    ends_subscription: bool


def write_off(
    invoice_id: UUID, *, actor: Actor, reason: str, preview: bool = False, now: datetime
) -> WrittenOff:
    """The invoice becomes uncollectible; money that still comes is balance.

    A subscription with no other period paid or asked for ends with it (``settlement.falls_with``):
    nobody could pay it any more, and it would keep its customer from buying again.

    Raises ``invoice-not-found``, ``invoice-not-open``, ``reason-missing``.
    """
    reason = require_reason(reason)
    with atomic():
        invoice = hold_invoice(invoice_id)
        if invoice.status != "open":
            raise conflict("invoice-not-open", f"The invoice is {invoice.status}.", status=invoice.status)
        amount = Money(invoice.amount_due_minor, invoice.currency)
        ends = settlement.falls_with(invoice) is not None
        if preview:
            return WrittenOff(invoice.id, amount, "uncollectible", ends)
        settlement.give_up(invoice.account, invoice, now)
        record(
            "write_off",
            actor,
            reason,
            account=invoice.account,
            subject=("invoice", invoice.id),
            before={"status": "open", "amount_due": amount.as_json()},
            after={"status": invoice.status, "amount_due": Money(0, invoice.currency).as_json()},
            now=now,
        )
        settlement.stand_without(invoice.account, invoice, "invoice written off", now)
        return WrittenOff(invoice.id, amount, invoice.status, ends)
