"""Pages of charges: invoice lines, each with how its figure came about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.charge import AdjustLine
from admin_panel.sections.base import ReadOnlyAdmin, Table, parse_id, text_column
from admin_panel.sections.explanations import proof, told
from admin_panel.sections.filters import word_filter
from admin_panel.sections.formats import (
    link,
    localized,
    moment_text,
    money_text,
    name_of,
    period_text,
    rate_text,
    to_invoice,
)


def _money(attribute: str, title: Any) -> Any:
    return text_column(
        title, lambda row: money_text(getattr(row, attribute), row.invoice.currency), attribute
    )


class ChargeAdmin(ReadOnlyAdmin):
    """Search by user id, invoice number or e-mail."""

    related = ("invoice", "account", "account__customer")
    ordering = ("-invoice__issued_at", "position")
    list_display = ("what", "holder", "invoice_link", "period", "list_price", "discount", "amount", "issued")
    list_filter = (
        word_filter(
            "invoice__kind", _("kind of invoice"), "first", "renewal", "change", "purchase", "charge", "debt"
        ),
    )
    fields = (
        "what", "holder", "invoice_link", "period", "pieces", "list_price", "discount", "amount",
        "vat", "issued",
    )  # fmt: skip
    staff_actions = (AdjustLine,)
    search_help_text = _("User id, e-mail, number of an invoice")

    what = text_column(_("Charge"), lambda row: localized(row.description))
    holder = text_column(
        _("Account"), lambda row: link("billing_service_account", row.account_id, name_of(row.account))
    )
    invoice_link = text_column(_("Invoice"), lambda row: to_invoice(row.invoice))
    period = text_column(_("Period"), lambda row: period_text(row.period_start_on, row.period_end_on))
    pieces = text_column(_("Quantity"), lambda row: str(row.quantity))
    list_price = _money("list_minor", _("List price"))
    discount = _money("discount_minor", _("Discount"))
    amount = _money("net_minor", _("Amount"))
    vat = text_column(
        _("of it VAT"),
        lambda row: f"{money_text(row.vat_minor, row.invoice.currency)} ({rate_text(row.vat_rate_bp)})",
    )
    issued = text_column(_("Issued"), lambda row: moment_text(row.invoice.issued_at), "invoice__issued_at")

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        if identifier := parse_id(term):
            return rows.filter(
                Q(pk=identifier)
                | Q(account__user_id=identifier)
                | Q(account=identifier)
                | Q(invoice=identifier)
            )
        return rows.filter(Q(invoice__number__iexact=term) | Q(account__customer__email__icontains=term))

    def tables(self, row: Any) -> Iterable[Table]:
        yield Table(
            _("Why this amount"),
            [_("Step"), _("Amount")],
            [
                list(step)
                for step in (*told(row.steps, row.invoice.currency), proof(row, row.invoice.currency))
            ],
            right=frozenset({1}),
        )
