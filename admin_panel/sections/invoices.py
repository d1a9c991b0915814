"""Pages of invoices and credit notes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.charge import AdjustInvoice
from admin_panel.actions.invoice import VoidInvoice, WriteOff
from admin_panel.databases import BILLING_PAGES
from admin_panel.sections import documents
from admin_panel.sections.base import (
    ReadOnlyAdmin,
    Table,
    moment_column,
    money_column,
    parse_id,
    status_column,
    text_column,
)
from admin_panel.sections.explanations import proof, told
from admin_panel.sections.filters import word_filter
from admin_panel.sections.formats import (
    given_reason,
    link,
    localized,
    money_text,
    name_of,
    number_text,
    period_text,
    short,
    to_invoice,
)
from admin_panel.sections.words import word
from billing_api.billing_service.models import CreditNote, CreditNoteLine, InvoiceLine, Payment


def holder_column() -> Any:
    return text_column(
        _("Account"), lambda row: link("billing_service_account", row.account_id, name_of(row.account))
    )


def by_person(rows: QuerySet[Any], term: str, *, numbers: tuple[str, ...] = ()) -> QuerySet[Any]:
    """Rows of a user id, e-mail, own id, or one of the given number columns."""
    if identifier := parse_id(term):
        return rows.filter(Q(pk=identifier) | Q(account__user_id=identifier) | Q(account=identifier))
    found = Q(account__customer__email__icontains=term)
    for column in numbers:
        found |= Q(**{f"{column}__iexact": term})
    return rows.filter(found)


class InvoiceAdmin(ReadOnlyAdmin):
    """Search by number, user id or e-mail."""

    related = ("account", "account__customer", "subscription", "subscription__product")
    ordering = ("-issued_at",)
    date_hierarchy = None
    list_display = ("named", "holder", "kind_word", "status_word", "collected", "total", "due", "issued")
    list_filter = (
        word_filter("status", _("status"), "open", "paid", "void", "uncollectible", "draft"),
        word_filter("kind", _("kind"), "first", "renewal", "change", "purchase", "charge", "debt"),
        word_filter(
            "collection",
            _("collection"),
            "processing",
            "action_required",
            "failed",
            "partially_paid",
            "overdue",
        ),
    )
    fieldsets = (
        (None, {"fields": ("named", "holder", "subscription_link", "kind_word", "status_word", "collected")}),
        (
            _("Amounts"),
            {"fields": ("listed", "discount", "total", "vat", "balance", "paid", "credited", "due")},
        ),
        (_("Dates"), {"fields": ("period", "issued", "due_by", "paid_on")}),
    )
    staff_actions = (AdjustInvoice, VoidInvoice, WriteOff)
    search_help_text = _("Number, user id, e-mail")

    named = text_column(_("Number"), lambda row: number_text(row.number) or short(row.pk), "number")
    holder = holder_column()
    subscription_link = text_column(
        _("Subscription"),
        lambda row: link(
            "billing_service_subscription",
            row.subscription_id,
            localized(row.subscription.product.title) if row.subscription else None,
        ),
    )
    kind_word = text_column(_("Kind"), lambda row: word(row.kind), "kind")
    status_word = status_column("status", _("Status"))
    collected = status_column("collection", _("Collection"))
    listed = money_column("list_minor", _("List price"))
    discount = money_column("discount_minor", _("Discount"))
    total = money_column("total_minor", _("Total"))
    vat = money_column("vat_minor", _("of it VAT"))
    balance = money_column("balance_applied_minor", _("From the balance"))
    paid = money_column("paid_minor", _("Paid"))
    credited = money_column("credited_minor", _("Credited"))
    due = money_column("amount_due_minor", _("Amount due"))
    period = text_column(_("Period"), lambda row: period_text(row.period_start_on, row.period_end_on))
    issued = moment_column("issued_at", _("Issued"))
    due_by = moment_column("due_at", _("Due"))
    paid_on = moment_column("paid_at", _("Paid at"))

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        return by_person(rows, term, numbers=("number",))

    def tables(self, row: Any) -> Iterable[Table]:
        lines = InvoiceLine.objects.using(BILLING_PAGES).filter(invoice=row.pk).order_by("position")
        yield documents.charges(lines, _("Lines"))
        for line in lines:
            yield Table(
                _("Why this amount: %(line)s") % {"line": localized(line.description)},
                [_("Step"), _("Amount")],
                [list(step) for step in (*told(line.steps, row.currency), proof(line, row.currency))],
                right=frozenset({1}),
            )
        yield documents.payments(Payment.objects.filter(invoice=row.pk), _("Payments"))
        yield documents.credit_notes(CreditNote.objects.filter(invoice=row.pk))


class CreditNoteAdmin(ReadOnlyAdmin):
    """Search by number, number of the invoice, user id or e-mail."""

    related = ("account", "account__customer", "invoice")
    ordering = ("-issued_at",)
    list_display = ("named", "holder", "invoice_link", "total", "reason_text", "issued")
    fields = ("named", "holder", "invoice_link", "total", "vat", "reason_text", "issued")
    search_help_text = _("Number, number of the invoice, user id, e-mail")

    named = text_column(_("Number"), lambda row: number_text(row.number) or short(row.pk), "number")
    holder = holder_column()
    invoice_link = text_column(_("Invoice"), lambda row: to_invoice(row.invoice))
    total = money_column("total_minor", _("Amount"))
    vat = money_column("vat_minor", _("of it VAT"))
    reason_text = text_column(_("Reason"), lambda row: given_reason(row.reason))
    issued = moment_column("issued_at", _("Issued"))

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        return by_person(rows, term, numbers=("number", "invoice__number"))

    def tables(self, row: Any) -> Iterable[Table]:
        lines = CreditNoteLine.objects.using(BILLING_PAGES).filter(credit_note=row.pk)
        yield Table(
            _("Lines"),
            [_("Charge"), _("Amount"), _("of it VAT")],
            [
                [
                    link(
                        "billing_service_invoiceline",
                        line.invoice_line_id,
                        localized(line.invoice_line.description),
                    ),
                    money_text(line.amount_minor, row.currency),
                    money_text(line.vat_minor, row.currency),
                ]
                for line in lines.select_related("invoice_line")
            ],
            right=frozenset({1, 2}),
        )
