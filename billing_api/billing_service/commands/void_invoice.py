"""Voids an open invoice, once its payments are closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import orders, settlement
from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.commands.adjust_charge import hold_invoice
from billing_api.billing_service.database import atomic
from shared.errors import conflict
from shared.money import Money


@dataclass(frozen=True, slots=True)
class InvoiceVoiding:
    """``state`` is ``closing``: the invoice is void as soon as PayAPI has answered ``closed``.

    ``ends_subscription``: its period is then neither paid nor asked for.
    """

    invoice_id: UUID
    amount: Money
    state: str
    ends_subscription: bool


def void_invoice(
    invoice_id: UUID, *, actor: Actor, reason: str, preview: bool = False, now: datetime
) -> InvoiceVoiding:
    """A paid invoice is not voided but credited; to give an unpaid period away, credit its invoice whole.

    A subscription with no other period paid or asked for ends with it (``settlement.falls_with``).

    Raises ``invoice-not-found``, ``invoice-not-open``, ``debt-not-voidable`` (the money would still be owed),
    ``reason-missing``.
    """
    reason = require_reason(reason)
    with atomic():
        invoice = hold_invoice(invoice_id)
        if invoice.status != "open":
            raise conflict("invoice-not-open", f"The invoice is {invoice.status}.", status=invoice.status)
        if invoice.kind == "debt":
            raise conflict("debt-not-voidable", "A debt is paid or written off.")
        done = InvoiceVoiding(
            invoice.id,
            Money(invoice.total_minor, invoice.currency),
            "closing",
            settlement.falls_with(invoice) is not None,
        )
        if preview:
            return done
        order = orders.order_closing(
            invoice.account,
            invoice,
            "expire",
            now,
            actor=actor.id,
            command="void_invoice",
            reason=reason,
        )
        record(
            "void_invoice",
            actor,
            reason,
            account=invoice.account,
            subject=("invoice", invoice.id),
            before={"status": invoice.status},
            after={"status": invoice.status, "order_id": str(order.id) if order else None},
            now=now,
        )
        return done
