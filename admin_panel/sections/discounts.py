"""Pages of personal discounts and promotions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from admin_panel.actions.discount import EndDiscount
from admin_panel.actions.promotions import CreatePromotion, EndPromotion
from admin_panel.databases import BILLING_PAGES
from admin_panel.sections.base import (
    ReadOnlyAdmin,
    Table,
    badge,
    moment_column,
    money_column,
    parse_id,
    permission_check,
    text_column,
)
from admin_panel.sections.documents import window_text
from admin_panel.sections.filters import word_filter
from admin_panel.sections.formats import (
    day_text,
    duration_text,
    localized,
    money_text,
    terms_text,
    to_invoice,
)
from admin_panel.sections.invoices import by_person, holder_column
from admin_panel.sections.words import word
from billing_api.billing_service.models import DiscountUse, Product


def uses(discount_id: Any) -> Table:
    """On which invoices a discount was used."""
    rows = DiscountUse.objects.using(BILLING_PAGES).filter(discount_id=discount_id).select_related("invoice")
    return Table(
        _("Used on"),
        [_("Invoice"), _("Day"), _("Amount"), _("State")],
        [
            [
                to_invoice(row.invoice),
                day_text(row.used_on),
                money_text(row.amount_minor, row.invoice.currency),
                badge(row.state),
            ]
            for row in rows.order_by("-used_on")[:20]
        ],
        right=frozenset({2}),
    )


class PersonalDiscountAdmin(ReadOnlyAdmin):
    """Search by id, user id or e-mail."""

    related = ("account", "account__customer")
    ordering = ("-created_at",)
    list_display = ("terms", "holder", "duration", "window", "given", "state", "created")
    list_filter = (
        word_filter(
            "kind", _("kind"), "percentage", "fixed_amount", "fixed_price", "free_periods", "free_days"
        ),
    )
    fields = (
        "terms",
        "holder",
        "state",
        "duration",
        "window",
        "given",
        "why",
        "created",
        "ended",
        "why_ended",
    )
    staff_actions = (EndDiscount,)
    search_help_text = _("Id, user id, e-mail")

    terms = text_column(_("Discount"), terms_text)
    holder = holder_column()
    duration = text_column(_("Duration"), duration_text)
    window = text_column(_("Works"), window_text)
    state = text_column(_("State"), lambda row: badge("cancelled" if row.ended_at else "active"), "ended_at")
    given = text_column(_("Given by"), lambda row: row.given_by, "given_by")
    why = text_column(_("Reason"), lambda row: row.reason)
    created = moment_column("created_at", _("Given"))
    ended = moment_column("ended_at", _("Ended"))
    why_ended = text_column(_("Why ended"), lambda row: row.end_reason or "—")

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        return by_person(rows, term)

    def tables(self, row: Any) -> Iterable[Table]:
        yield uses(row.pk)


def _products(row: Any) -> str:
    rows = Product.objects.using(BILLING_PAGES).filter(pk__in=row.product_ids).order_by("rank", "slug")
    return ", ".join(localized(one.title) for one in rows) or str(_("Every product"))


class PromotionAdmin(ReadOnlyAdmin):
    """Promotions that apply by themselves; search by name or id."""

    ordering = ("-created_at",)
    list_display = ("label_text", "terms", "segment_word", "window", "budget", "spent", "state")
    fields = (
        "label_text",
        "terms",
        "segment_word",
        "products",
        "stacks",
        "rank",
        "duration",
        "window",
        "budget",
        "spent",
        "state",
        "created",
    )
    actions_list = ("make",)
    has_create_promotion_permission = permission_check("create_promotion")
    staff_actions = (EndPromotion,)
    search_help_text = _("Name or id")

    rank = text_column(_("Priority"), lambda row: str(row.priority))
    label_text = text_column(_("Name"), lambda row: row.label or "—")
    terms = text_column(_("Discount"), terms_text)
    segment_word = text_column(_("For whom"), lambda row: word(row.segment))
    products = text_column(_("Product"), _products)
    stacks = text_column(_("Stacks"), lambda row: str(_("no") if row.is_exclusive else _("yes")))
    duration = text_column(_("Duration"), duration_text)
    window = text_column(_("Works"), window_text)
    budget = money_column("budget_minor", _("Budget"))
    spent = money_column("budget_spent_minor", _("Spent"))
    state = text_column(_("State"), lambda row: badge("active" if row.is_active else "cancelled"))
    created = moment_column("created_at", _("Created"))

    @action(
        description=_("Create a promotion"),
        url_path="create",
        permissions=["create_promotion"],
        icon="add",
    )
    def make(self, request: HttpRequest) -> HttpResponse:
        return CreatePromotion().view(self.admin_site, request, None)

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        identifier = parse_id(term)
        return rows.filter(pk=identifier) if identifier else rows.filter(label__icontains=term)

    def tables(self, row: Any) -> Iterable[Table]:
        yield uses(row.pk)
