"""Pages of promo codes and their redemptions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from admin_panel.actions.promo_codes import CreatePromoCodes
from admin_panel.databases import BILLING_PAGES
from admin_panel.sections.base import (
    ReadOnlyAdmin,
    Table,
    badge,
    moment_column,
    parse_id,
    permission_check,
    text_column,
)
from admin_panel.sections.documents import window_text
from admin_panel.sections.formats import duration_text, link, moment_text, money_text, name_of, terms_text
from billing_api.billing_service.models import PromoRedemption


def used_text(code: Any) -> str:
    """``3 / 100``, or without a limit ``3 / ∞``."""
    return f"{code.redemptions} / {code.redemption_limit if code.redemption_limit is not None else '∞'}"


class PromoCodeAdmin(ReadOnlyAdmin):
    """Search by code or batch."""

    ordering = ("-created_at", "code")
    list_display = ("code_text", "terms", "used", "per_user", "window", "state", "made_by", "created")
    fields = (
        "code_text", "terms", "duration", "window", "used", "per_user", "first_only", "least", "stacks",
        "state", "batch", "made_by", "why", "created",
    )  # fmt: skip
    actions_list = ("make",)
    has_create_promo_codes_permission = permission_check("create_promo_codes")
    search_help_text = _("Code or batch")

    code_text = text_column(_("Code"), lambda row: row.code, "code")
    made_by = text_column(_("Created by"), lambda row: row.created_by, "created_by")
    terms = text_column(_("Discount"), terms_text)
    duration = text_column(_("Duration"), duration_text)
    window = text_column(_("Works"), window_text)
    used = text_column(_("Used"), used_text, "redemptions")
    per_user = text_column(_("Per user"), lambda row: row.limit_per_user)
    first_only = text_column(
        _("First purchase only"), lambda row: str(_("yes") if row.first_purchase_only else _("no"))
    )
    least = text_column(_("Least amount"), lambda row: money_text(row.minimum_minor, row.currency))
    stacks = text_column(_("Stacks"), lambda row: str(_("no") if row.is_exclusive else _("yes")))
    state = text_column(_("State"), lambda row: badge("active" if row.is_active else "cancelled"))
    batch = text_column(_("Batch"), lambda row: row.batch_id or "—")
    why = text_column(_("Reason"), lambda row: row.reason or "—")
    created = moment_column("created_at", _("Created"))

    @action(
        description=_("Create promo codes"),
        url_path="create",
        permissions=["create_promo_codes"],
        icon="add",
    )
    def make(self, request: HttpRequest) -> HttpResponse:
        return CreatePromoCodes().view(self.admin_site, request, None)

    def found(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        if identifier := parse_id(term):
            return rows.filter(Q(pk=identifier) | Q(batch_id=identifier))
        return rows.filter(code__icontains=term)

    def tables(self, row: Any) -> Iterable[Table]:
        redemptions = PromoRedemption.objects.using(BILLING_PAGES).filter(promo_code=row.pk)
        yield Table(
            _("Redemptions"),
            [_("Account"), _("State"), _("When"), _("Invoice")],
            [
                [
                    link("billing_service_account", each.account_id, name_of(each.account)),
                    badge(each.state),
                    moment_text(each.reserved_at),
                    link("billing_service_invoice", each.invoice_id),
                ]
                for each in redemptions.select_related("account", "account__customer").order_by(
                    "-reserved_at"
                )[:50]
            ],
        )
