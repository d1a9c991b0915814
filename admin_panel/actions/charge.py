"""Adjusting a charge: from the page of an invoice or of one of its lines, or (``account.py``) of an account.

Below ``/admin/billing_service/``: ``invoice/<invoice_id>/adjust-charge/`` and
``invoiceline/<line_id>/adjust-charge/``. Fields: ``direction`` (``up`` or ``down``), ``amount`` in roubles as
text (``50.00``), ``reason``, ``token`` (hidden, from the form); the confirmation adds ``confirm=1``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar
from uuid import UUID

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.base import Order, StaffAction, actor
from admin_panel.actions.effects import Row, credited_already, money
from admin_panel.actions.forms import ActionForm, MoneyField, choice_field
from admin_panel.actions.subjects import load
from admin_panel.databases import BILLING_PAGES
from admin_panel.sections.formats import localized, page_url
from billing_api.billing_service.commands.adjust_charge import adjust_charge
from billing_api.billing_service.models import Invoice, InvoiceLine
from shared.money import Money


class AdjustForm(ActionForm):
    direction = choice_field(
        [("down", _("down: the customer pays less")), ("up", _("up: the customer pays more"))],
        label=_("Direction"),
    )
    amount = MoneyField(label=_("Amount, roubles"))


class AdjustCharge(StaffAction):
    """What all three have in common."""

    slug = "adjust-charge"
    permission = "adjust_charge"
    title = _("Adjust a charge")
    icon = "tune"
    form: ClassVar[type[ActionForm]] = AdjustForm

    @abstractmethod
    def invoice(self, order: Order) -> Invoice:
        """The one that is corrected."""

    def command(self, order: Order, *, preview: bool) -> Any:
        invoice = self.invoice(order)
        sign = 1 if order.values["direction"] == "up" else -1
        change = Money(sign * order.values["amount"], invoice.currency)
        return adjust_charge(
            invoice.pk, change, actor=actor(order), reason=order.reason, preview=preview, now=order.now
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        up = result.change.amount > 0
        rows = [
            Row(_now("Document"), _now("correcting invoice") if up else _now("credit note")),
            Row(_now("Invoice"), self.invoice(order).number or "—"),
            Row(_now("Change of the charge"), money(result.change)),
            Row(_now("Balance of the account"), money(result.balance_after), money(result.balance_before)),
        ]
        return rows + credited_already(result.credited_already)


ADJUSTABLE = ("open", "paid")


class AdjustInvoice(AdjustCharge):
    """The invoice whose page it is; a credit is split over its lines."""

    @classmethod
    def is_offered(cls, subject_id: UUID | None) -> bool:
        rows = Invoice.objects.using(BILLING_PAGES).filter(status__in=ADJUSTABLE)
        return subject_id is not None and rows.filter(pk=subject_id).exists()

    def subject(self, subject_id: Any) -> Invoice:
        return load(Invoice, subject_id)

    def subject_url(self, subject: Invoice) -> str:
        return page_url("billing_service_invoice", subject.pk)

    def invoice(self, order: Order) -> Invoice:
        found: Invoice = order.subject
        return found


class AdjustLine(AdjustCharge):
    """The invoice of the line whose page it is."""

    @classmethod
    def is_offered(cls, subject_id: UUID | None) -> bool:
        rows = InvoiceLine.objects.using(BILLING_PAGES).filter(invoice__status__in=ADJUSTABLE)
        return subject_id is not None and rows.filter(pk=subject_id).exists()

    def subject(self, subject_id: Any) -> InvoiceLine:
        return load(InvoiceLine, subject_id, "invoice")

    def subject_text(self, subject: InvoiceLine) -> str:
        return f"{localized(subject.description)}, {subject.invoice.number}"

    def subject_url(self, subject: InvoiceLine) -> str:
        return page_url("billing_service_invoiceline", subject.pk)

    def invoice(self, order: Order) -> Invoice:
        found: Invoice = order.subject.invoice
        return found
