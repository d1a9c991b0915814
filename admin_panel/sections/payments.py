"""Pages of payments as billing sees them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.by_hand import BANK_TRANSFER, ConfirmRefund, ConfirmTransfer
from admin_panel.actions.payment import RefundPayment
from admin_panel.actions.settle_review import SettleReview
from admin_panel.databases import BILLING_PAGES
from admin_panel.sections.base import (
    ReadOnlyAdmin,
    Table,
    badge,
    moment_column,
    money_column,
    status_column,
    text_column,
)
from admin_panel.sections.filters import word_filter
from admin_panel.sections.formats import given_reason, moment_text, money_text, to_invoice
from admin_panel.sections.invoices import by_person, holder_column
from admin_panel.sections.words import word
from billing_api.billing_service.models import Payment, PaymentCancellation, Refund


def decline_text(decline: Any) -> str:
    """The reason a person understands, with its code."""
    if not isinstance(decline, dict):
        return "—"
    return f"{decline.get('message', '')} ({decline.get('code', '')})"


def transfer_code_of(row: Payment) -> str:
    """What the payer writes into a bank transfer: the end of the payment's id (PayAPI's rule)."""
    return row.pk.hex[-8:].upper() if row.provider == BANK_TRANSFER else "—"


_TRANSFER_CODE: Final = re.compile(r"[0-9a-fA-F]{8}")


class PaymentAdmin(ReadOnlyAdmin):
    """Search by payment id, user id, e-mail, number of the invoice, or code of a bank transfer."""

    related = ("account", "account__customer", "invoice")
    ordering = ("-created_at",)
    list_display = (
        "ident",
        "holder",
        "invoice_link",
        "status_word",
        "amount",
        "refunded",
        "made_by",
        "card",
        "created",
    )
    list_filter = (
        word_filter(
            "status", _("status"),
            "created", "action_required", "processing", "authorized", "succeeded", "failed", "cancelled",
            "partially_refunded", "refunded", "unknown", "needs_review",
        ),
        word_filter("initiator", _("made by"), "customer", "merchant"),
        word_filter("provider", _("provider"), "cloudpayments", "bank_transfer"),
    )  # fmt: skip
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "ident",
                    "holder",
                    "invoice_link",
                    "status_word",
                    "made_by",
                    "provider_word",
                    "transfer_code",
                    "card",
                    "declined",
                )
            },
        ),
        (_("Amounts"), {"fields": ("amount", "captured", "refunded", "allocated", "to_balance")}),
        (_("Dates"), {"fields": ("created", "succeeded", "posted")}),
    )
    staff_actions = (SettleReview, ConfirmTransfer, ConfirmRefund, RefundPayment)
    search_help_text = _("Payment id, user id, e-mail, number of the invoice, code of a bank transfer")

    ident = text_column(_("Payment"), lambda row: str(row.pk))
    holder = holder_column()
    invoice_link = text_column(_("Invoice"), lambda row: to_invoice(row.invoice))
    status_word = status_column("status", _("Status"))
    made_by = text_column(_("Made by"), lambda row: word(row.initiator), "initiator")
    provider_word = text_column(_("Provider"), lambda row: word(row.provider))
    transfer_code = text_column(_("Code of the bank transfer"), transfer_code_of)
    card = text_column(_("Card"), lambda row: row.card_mask or "—")
    declined = text_column(_("Why declined"), lambda row: decline_text(row.decline))
    amount = money_column("amount_minor", _("Amount"))
    captured = money_column("captured_minor", _("Received"))
    refunded = money_column("refunded_minor", _("Refunded"))
    allocated = money_column("allocated_minor", _("Paid on the invoice"))
    to_balance = money_column("to_balance_minor", _("Put on the balance"))
    created = moment_column("created_at", _("Created"))
    succeeded = moment_column("succeeded_at", _("Succeeded"))
    posted = moment_column("posted_at", _("Posted"))

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        if _TRANSFER_CODE.fullmatch(term):
            return rows.filter(provider=BANK_TRANSFER, pk__endswith=term.lower())
        return by_person(rows, term, numbers=("invoice__number",))

    def tables(self, row: Any) -> Iterable[Table]:
        refunds = Refund.objects.using(BILLING_PAGES).filter(payment=row.pk).order_by("-succeeded_at")
        yield Table(
            _("Refunds"),
            [_("Refunded"), _("Amount"), _("Reason")],
            [
                [
                    moment_text(refund.succeeded_at),
                    money_text(refund.amount_minor, refund.currency),
                    given_reason(refund.reason),
                ]
                for refund in refunds
            ],
            right=frozenset({1}),
        )
        asked = PaymentCancellation.objects.using(BILLING_PAGES).filter(payment_id=row.pk)
        yield Table(
            _("Cancellations by the user"),
            [_("Asked"), _("Amount"), _("State")],
            [
                [
                    moment_text(each.requested_at),
                    money_text(each.amount_minor, each.currency),
                    badge(each.state),
                ]
                for each in asked
            ],
            right=frozenset({1}),
        )
