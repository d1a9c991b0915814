"""Pages of the findings that a person should look at."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from admin_panel.actions.review import ResolveReviewItem
from admin_panel.databases import BILLING_PAGES
from admin_panel.sections.base import ReadOnlyAdmin, badge, moment_column, parse_id, text_column
from admin_panel.sections.filters import word_filter
from admin_panel.sections.formats import link
from admin_panel.sections.invoices import by_person, holder_column
from admin_panel.sections.ledger import pretty, subject_link
from admin_panel.sections.words import word
from billing_api.billing_service.models import AuditRecord

# Ids that stand in a finding's detail, beside its own subject -> their pages.
_NAMED = {
    "invoice_id": ("billing_service_invoice", _("Invoice")),
    "payment_id": ("billing_service_payment", _("Payment")),
    "run_id": ("billing_service_billingrun", _("Billing run")),
}


class StateFilter(SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, word(value)) for value in ("open", "resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "open":
                return queryset.filter(resolved_at=None)
            case "resolved":
                return queryset.exclude(resolved_at=None)
        return queryset


def _named(row: Any) -> Any:
    links = [
        (link(page, parse_id(str(row.detail[name])), title),)
        for name, (page, title) in _NAMED.items()
        if row.detail.get(name)
    ]
    return format_html_join(", ", "{}", links) or "—"


def _resolution(row: Any) -> str:
    """Who closed it by hand and why, of the last time; closed by its cause there is nobody to name."""
    said = AuditRecord.objects.using(BILLING_PAGES).filter(
        subject_id=row.pk, command="resolve_review_item", done_at=row.resolved_at
    )
    found = said.order_by("-done_at").first() if row.resolved_at else None
    return f"{found.actor_id}: {found.reason}" if found else "—"


class ReviewItemAdmin(ReadOnlyAdmin):
    """Late money, refused refunds, what the billing run set aside: read, mended, resolved with a reason."""

    related = ("account", "account__customer")
    ordering = ("-found_at",)
    list_display = ("kind_word", "holder", "about", "found_moment", "state")
    list_filter = (
        StateFilter,
        word_filter(
            "kind", _("kind"),
            "money_without_invoice", "paid_after_end", "debt_after_refund", "payment_disagrees",
            "refund_refused", "refund_unknown", "collection_refused",
            "billing_set_aside", "missed_periods_cap", "trial_repeated",
        ),
    )  # fmt: skip
    fields = (
        "kind_word",
        "state",
        "holder",
        "about",
        "named",
        "detail_text",
        "found_moment",
        "resolved",
        "resolution",
    )
    staff_actions = (ResolveReviewItem,)
    search_help_text = _("Id, id of the subject, user id, e-mail")

    kind_word = text_column(_("Finding"), lambda row: word(row.kind), "kind")
    state = text_column(
        _("State"), lambda row: badge("resolved" if row.resolved_at else "open"), "resolved_at"
    )
    holder = holder_column()
    about = text_column(_("Subject"), lambda row: subject_link(row.subject_kind, row.subject_id))
    named = text_column(_("See also"), _named)
    detail_text = text_column(_("Details"), lambda row: pretty(row.detail))
    found_moment = moment_column("found_at", _("Found"))
    resolved = moment_column("resolved_at", _("Resolved"))
    resolution = text_column(_("Resolved by"), _resolution)

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        if identifier := parse_id(term):
            return rows.filter(
                Q(pk=identifier)
                | Q(subject_id=identifier)
                | Q(account__user_id=identifier)
                | Q(account=identifier)
            )
        return by_person(rows, term)
