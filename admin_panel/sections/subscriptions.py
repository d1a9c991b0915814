"""Pages of subscriptions and one-time purchases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.subscription import BillAgain, ExtendSubscription
from admin_panel.sections import documents
from admin_panel.sections.base import (
    ReadOnlyAdmin,
    Table,
    moment_column,
    money_column,
    status_column,
    text_column,
)
from admin_panel.sections.filters import word_filter
from admin_panel.sections.formats import localized, moment_text, period_text
from admin_panel.sections.invoices import by_person, holder_column
from admin_panel.sections.words import word
from billing_api.billing_service.commands.release_subscription import FAILURES_UNTIL_SET_ASIDE
from billing_api.billing_service.models import Invoice


def access_text(subscription: Any) -> str:
    """Until when access is granted."""
    if not subscription.grants_access:
        return "—"
    return moment_text(subscription.access_until) if subscription.access_until else str(_("for ever"))


class SubscriptionAdmin(ReadOnlyAdmin):
    """Search by id, user id or e-mail."""

    related = ("account", "account__customer", "product", "price", "promo_code")
    ordering = ("-created_at",)
    list_display = (
        "product_title",
        "holder",
        "kind_word",
        "status_word",
        "unit",
        "period",
        "next_invoice",
        "created",
    )
    list_filter = (
        word_filter(
            "status", _("status"),
            "incomplete", "trialing", "active", "past_due", "paused", "cancelled", "expired",
        ),
        word_filter("kind", _("kind"), "recurring", "one_time"),
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": ("product_title", "holder", "kind_word", "status_word", "unit", "code", "ending")}),
        (_("Dates"), {"fields": ("period", "access", "trial_end", "next_invoice", "created", "ended")}),
        (_("Billing run"), {"fields": ("term", "set_aside")}),
    )
    staff_actions = (ExtendSubscription, BillAgain)
    search_help_text = _("Id, user id, e-mail")

    product_title = text_column(_("Product"), lambda row: localized(row.product.title))
    holder = holder_column()
    kind_word = text_column(_("Kind"), lambda row: word(row.kind), "kind")
    status_word = status_column("status", _("Status"))
    unit = money_column("unit_minor", _("Price"))
    code = text_column(_("Promo code"), lambda row: row.promo_code.code if row.promo_code else "—")
    ending = text_column(
        _("Ends with the period"), lambda row: str(_("yes") if row.cancel_at_period_end else _("no"))
    )
    period = text_column(_("Period"), lambda row: period_text(row.period_start_on, row.period_end_on))
    access = text_column(_("Access until"), access_text)
    trial_end = moment_column("trial_ends_at", _("Trial ends"))
    next_invoice = moment_column("next_invoice_at", _("Next invoice"))
    term = text_column(
        _("Fixed term"),
        lambda row: f"{row.periods_billed} / {row.term_periods}" if row.term_periods else "—",
    )
    set_aside = text_column(
        _("Set aside"),
        lambda row: str(_("yes") if row.billing_failures >= FAILURES_UNTIL_SET_ASIDE else _("no")),
    )
    created = moment_column("created_at", _("Created"))
    ended = moment_column("ended_at", _("Ended"))

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        return by_person(rows, term)

    def tables(self, row: Any) -> Iterable[Table]:
        yield documents.invoices(Invoice.objects.filter(subscription=row.pk), _("Invoices"))
