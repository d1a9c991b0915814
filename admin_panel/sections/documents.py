"""Tables of a customer's documents, shared by the pages of accounts, invoices and subscriptions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from admin_panel.databases import BILLING_PAGES
from admin_panel.sections.base import Table, badge
from admin_panel.sections.formats import (
    day_text,
    given_reason,
    link,
    localized,
    moment_text,
    money_text,
    number_text,
    period_text,
    terms_text,
    to_invoice,
)
from admin_panel.sections.words import word
from billing_api.billing_service.models import (
    CreditNote,
    Invoice,
    InvoiceLine,
    LedgerEntry,
    Payment,
    PersonalDiscount,
    Subscription,
)

SHOWN = 10
_FIGURES = frozenset({3, 4})


def invoices(rows: QuerySet[Invoice], title: Any = "") -> Table:
    shown = rows.using(BILLING_PAGES).order_by("-issued_at")[:SHOWN]
    return Table(
        title or _("Latest invoices"),
        [_("Number"), _("Kind"), _("Status"), _("Total"), _("Amount due"), _("Issued")],
        [
            [
                to_invoice(row),
                word(row.kind),
                badge(row.status),
                money_text(row.total_minor, row.currency),
                money_text(row.amount_due_minor, row.currency),
                moment_text(row.issued_at),
            ]
            for row in shown
        ],
        right=_FIGURES,
    )


def payments(rows: QuerySet[Payment], title: Any = "") -> Table:
    shown = rows.using(BILLING_PAGES).select_related("invoice").order_by("-created_at")[:SHOWN]
    return Table(
        title or _("Latest payments"),
        [_("Payment"), _("Invoice"), _("Status"), _("Amount"), _("Refunded"), _("Card"), _("Created")],
        [
            [
                link("billing_service_payment", row.pk),
                to_invoice(row.invoice),
                badge(row.status),
                money_text(row.amount_minor, row.currency),
                money_text(row.refunded_minor, row.currency),
                row.card_mask or "—",
                moment_text(row.created_at),
            ]
            for row in shown
        ],
        right=_FIGURES,
    )


def subscriptions(rows: QuerySet[Subscription]) -> Table:
    shown = rows.using(BILLING_PAGES).select_related("product").order_by("-created_at")[:SHOWN]
    return Table(
        _("Subscriptions and purchases"),
        [_("Product"), _("Kind"), _("Status"), _("Price"), _("Period"), _("Next invoice")],
        [
            [
                link("billing_service_subscription", row.pk, localized(row.product.title)),
                word(row.kind),
                badge(row.status),
                money_text(row.unit_minor, row.currency),
                period_text(row.period_start_on, row.period_end_on),
                moment_text(row.next_invoice_at),
            ]
            for row in shown
        ],
        right=frozenset({3}),
    )


def charges(rows: QuerySet[InvoiceLine], title: Any = "") -> Table:
    shown = (
        rows.using(BILLING_PAGES)
        .select_related("invoice")
        .order_by("-invoice__issued_at", "position")[:SHOWN]
    )
    return Table(
        title or _("Latest charges"),
        [_("Charge"), _("Invoice"), _("Period"), _("List price"), _("Amount"), _("Discount")],
        [
            [
                link("billing_service_invoiceline", row.pk, localized(row.description)),
                to_invoice(row.invoice),
                period_text(row.period_start_on, row.period_end_on),
                money_text(row.list_minor, row.invoice.currency),
                money_text(row.net_minor, row.invoice.currency),
                money_text(row.discount_minor, row.invoice.currency),
            ]
            for row in shown
        ],
        right=frozenset({3, 4, 5}),
    )


def credit_notes(rows: QuerySet[CreditNote]) -> Table:
    shown = rows.using(BILLING_PAGES).select_related("invoice").order_by("-issued_at")[:SHOWN]
    return Table(
        _("Credit notes"),
        [_("Number"), _("Invoice"), _("Reason"), _("Amount"), _("Issued")],
        [
            [
                link("billing_service_creditnote", row.pk, number_text(row.number)),
                to_invoice(row.invoice),
                given_reason(row.reason),
                money_text(row.total_minor, row.currency),
                moment_text(row.issued_at),
            ]
            for row in shown
        ],
        right=frozenset({3}),
    )


def discounts(rows: QuerySet[PersonalDiscount]) -> Table:
    shown = rows.using(BILLING_PAGES).order_by("-created_at")[:SHOWN]
    return Table(
        _("Personal discounts"),
        [_("Discount"), _("Duration"), _("Given by"), _("Reason"), _("State")],
        [
            [
                link("billing_service_personaldiscount", row.pk, terms_text(row)),
                word(row.duration_kind),
                row.given_by,
                row.reason,
                badge("cancelled" if row.ended_at else "active"),
            ]
            for row in shown
        ],
    )


def movements(rows: QuerySet[LedgerEntry]) -> Table:
    """Entries of the personal account itself; shown from the customer's view: payments positive."""
    shown = rows.using(BILLING_PAGES).filter(ledger_account="customer").select_related("transaction")
    return Table(
        _("Movements of the account"),
        [_("Document"), _("Posted"), "", _("Amount")],
        [
            [
                link(
                    "billing_service_ledgertransaction", row.transaction_id, word(row.transaction.source_kind)
                ),
                moment_text(row.posted_at),
                "",
                money_text(-row.amount_minor, row.currency),
            ]
            for row in shown.order_by("-position")[:SHOWN]
        ],
        note=_("Payments are positive, charges negative."),
        right=frozenset({3}),
    )


def entries(rows: Iterable[LedgerEntry]) -> Table:
    """The legs of one ledger transaction."""
    return Table(
        _("Entries"),
        [_("Ledger account"), _("Debit"), _("Credit")],
        [
            [
                word(row.ledger_account),
                money_text(row.amount_minor, row.currency) if row.amount_minor > 0 else "",
                money_text(-row.amount_minor, row.currency) if row.amount_minor < 0 else "",
            ]
            for row in rows
        ],
        right=frozenset({1, 2}),
    )


def window_text(discount: Any) -> str:
    if discount.starts_at is None and discount.ends_at is None:
        return "—"
    start, end = (
        day_text(moment.date()) if moment else "…" for moment in (discount.starts_at, discount.ends_at)
    )
    return f"{start} – {end}"
