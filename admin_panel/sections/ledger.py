"""Pages of ledger transactions, billing runs and the audit."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from admin_panel.databases import BILLING_PAGES
from admin_panel.sections import documents
from admin_panel.sections.base import (
    ReadOnlyAdmin,
    Table,
    badge,
    moment_column,
    money_column,
    parse_id,
    status_column,
    text_column,
)
from admin_panel.sections.filters import word_filter
from admin_panel.sections.formats import link, money_text
from admin_panel.sections.invoices import by_person, holder_column
from admin_panel.sections.words import word
from billing_api.billing_service.models import LedgerEntry, RunItem

_PAGES = {
    "invoice": "billing_service_invoice",
    "payment": "billing_service_payment",
    "credit_note": "billing_service_creditnote",
    "subscription": "billing_service_subscription",
    "account": "billing_service_account",
    "promo_code": "billing_service_promocode",
    "personal_discount": "billing_service_personaldiscount",
    "promotion": "billing_service_promotion",
    "review_item": "billing_service_reviewitem",
}


def subject_link(kind: str, pk: Any) -> Any:
    """A link to what a row is about, where there is a page for it."""
    return link(_PAGES[kind], pk, word(kind)) if kind in _PAGES else word(kind)


def _debit(row: Any) -> str:
    legs = [leg for leg in row.entries.all() if leg.amount_minor > 0]
    return money_text(sum(leg.amount_minor for leg in legs), legs[0].currency) if legs else "—"


class LedgerTransactionAdmin(ReadOnlyAdmin):
    """Search by id, id of the document, user id or e-mail."""

    related = ("account", "account__customer")
    ordering = ("-posted_at", "-pk")
    list_display = ("source", "holder", "size", "posted")
    list_filter = (
        word_filter(
            "source_kind", _("document"),
            "invoice", "payment", "refund", "credit_note", "adjustment", "reversal",
        ),
    )  # fmt: skip
    fields = ("source", "source_link", "holder", "posted")
    search_help_text = _("Id, id of the document, user id, e-mail")

    source = text_column(_("Document"), lambda row: word(row.source_kind), "source_kind")
    source_link = text_column(_("Open"), lambda row: subject_link(row.source_kind, row.source_id))
    holder = holder_column()
    size = text_column(_("Amount"), _debit)
    posted = moment_column("posted_at", _("Posted"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        entries = LedgerEntry.objects.using(BILLING_PAGES)
        return super().get_queryset(request).prefetch_related(Prefetch("entries", entries))

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        if identifier := parse_id(term):
            return rows.filter(Q(pk=identifier) | Q(source_id=identifier) | Q(account__user_id=identifier))
        return by_person(rows, term)

    def tables(self, row: Any) -> Iterable[Table]:
        yield documents.entries(
            LedgerEntry.objects.using(BILLING_PAGES).filter(transaction=row.pk).order_by("pk")
        )


class BillingRunAdmin(ReadOnlyAdmin):
    """Periodic invoicing, run by run."""

    ordering = ("-started_at",)
    list_display = ("started", "until", "status_word", "dry", "due", "invoices", "total", "errors", "skipped")
    list_filter = (word_filter("status", _("status"), "running", "finished"),)
    fields = (
        "started",
        "finished",
        "until",
        "status_word",
        "dry",
        "due",
        "invoices",
        "total",
        "errors",
        "skipped",
    )

    started = moment_column("started_at", _("Started"))
    finished = moment_column("finished_at", _("Finished"))
    until = moment_column("as_of", _("What is due at"))
    status_word = status_column("status", _("Status"))
    dry = text_column(_("Trial run"), lambda row: str(_("yes") if row.is_dry else _("no")))
    total = money_column("total_minor", _("Invoiced"))

    def tables(self, row: Any) -> Iterable[Table]:
        items = RunItem.objects.using(BILLING_PAGES).filter(run=row.pk)
        yield Table(
            _("Set aside or failed"),
            [_("Subscription"), _("State"), _("Error")],
            [
                [
                    link("billing_service_subscription", item.subscription_id),
                    badge(item.state),
                    item.error or "—",
                ]
                for item in items.filter(state__in=("error", "skipped")).order_by("pk")[:50]
            ],
        )


class AuditAdmin(ReadOnlyAdmin):
    """Who did what, when and why. Search by actor, user id or id of the subject."""

    related = ("account", "account__customer")
    ordering = ("-done_at",)
    list_display = ("done", "command_word", "who", "about", "why")
    list_filter = (word_filter("actor_kind", _("kind of actor"), "staff", "user", "system"),)
    fields = ("done", "command_word", "who", "about", "holder", "why", "correlation_id", "was", "became")
    search_help_text = _("Name of staff, user id, id of the subject")

    done = moment_column("done_at", _("When"))
    command_word = text_column(_("What"), lambda row: word(row.command), "command")
    who = text_column(_("Who"), lambda row: f"{word(row.actor_kind)}: {row.actor_id}", "actor_id")
    about = text_column(_("Subject"), lambda row: subject_link(row.subject_kind, row.subject_id))
    holder = text_column(
        _("Account"), lambda row: link("billing_service_account", row.account_id) if row.account_id else "—"
    )
    why = text_column(_("Reason"), lambda row: row.reason)
    was = text_column(_("Before"), lambda row: pretty(row.before))
    became = text_column(_("After"), lambda row: pretty(row.after))

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        if identifier := parse_id(term):
            return rows.filter(
                Q(pk=identifier)
                | Q(subject_id=identifier)
                | Q(account__user_id=identifier)
                | Q(account=identifier)
            )
        return rows.filter(Q(actor_id__icontains=term) | Q(reason__icontains=term))


def pretty(value: Any) -> Any:
    """Stored JSON as a block of text, a dash for none."""
    if not value:
        return "—"
    return format_html(
        '<pre class="whitespace-pre-wrap text-xs">{}</pre>', json.dumps(value, ensure_ascii=False, indent=2)
    )
