"""Actions on an invoice: void it, write it off.

``/admin/billing_service/invoice/<invoice_id>/void/`` and ``…/write-off/``: ``reason``, ``token``; then
``confirm=1``.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.base import Order, StaffAction, actor
from admin_panel.actions.effects import Row, money
from admin_panel.actions.forms import ActionForm
from admin_panel.actions.subjects import load
from admin_panel.sections.formats import page_url
from admin_panel.sections.words import word
from billing_api.billing_service.commands.void_invoice import void_invoice
from billing_api.billing_service.commands.write_off import write_off
from billing_api.billing_service.models import Invoice


class InvoiceAction(StaffAction):
    """An action whose subject is an invoice."""

    form = ActionForm

    def subject(self, subject_id: Any) -> Invoice:
        return load(Invoice, subject_id)

    def subject_url(self, subject: Invoice) -> str:
        return page_url("billing_service_invoice", subject.pk)


def _subscription(order: Order, ends: bool) -> list[Row]:
    """What becomes of the invoice's subscription, where it has one."""
    if order.subject.subscription_id is None:
        return []
    return [Row(_now("Subscription"), _now("ends with its access rights") if ends else _now("goes on"))]


class VoidInvoice(InvoiceAction):
    slug = "void"
    permission = "void_invoice"
    title = _("Void the invoice")
    icon = "block"

    def command(self, order: Order, *, preview: bool) -> Any:
        return void_invoice(
            order.subject.pk, actor=actor(order), reason=order.reason, preview=preview, now=order.now
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        rows = [
            Row(_now("Status"), _now("void, as soon as its payments are closed"), word(order.subject.status)),
            Row(_now("Amount"), money(result.amount)),
        ]
        return rows + _subscription(order, result.ends_subscription)


class WriteOff(InvoiceAction):
    slug = "write-off"
    permission = "write_off"
    title = _("Write the invoice off")
    icon = "money_off"

    def command(self, order: Order, *, preview: bool) -> Any:
        return write_off(
            order.subject.pk, actor=actor(order), reason=order.reason, preview=preview, now=order.now
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        rows = [
            Row(_now("Status"), word(result.status), word(order.subject.status)),
            Row(_now("Given up"), money(result.amount)),
        ]
        return rows + _subscription(order, result.ends_subscription)
