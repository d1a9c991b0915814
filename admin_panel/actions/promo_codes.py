"""Creates promo codes, one or a batch.

``/admin/billing_service/promocode/create/``: the fields of a discount (see ``actions.account``) and ``code``
or ``count``, ``redemption_limit``, ``limit_per_user``, ``first_purchase_only``, ``minimum``,
``exclusive``, ``reason``, ``token``; then ``confirm=1``.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldBooleanWidget

from admin_panel.actions.base import Order, StaffAction, actor
from admin_panel.actions.discount_terms import DiscountForm, terms_of, terms_rows
from admin_panel.actions.effects import Row
from admin_panel.actions.forms import MoneyField, number_field, text_field
from billing_api.billing_service.commands.create_promo_codes import PromoCodeRules, create_promo_codes

MAX_BATCH = 1000
CURRENCY = "RUB"


class PromoCodesForm(DiscountForm):
    code = text_field(label=_("Code"), max_length=64, required=False, help_text=_("Empty for a batch."))
    count = number_field(label=_("How many, for a batch"), min_value=1, max_value=MAX_BATCH, required=False)
    redemption_limit = number_field(label=_("Redemptions in all"), min_value=1, required=False)
    limit_per_user = number_field(label=_("Redemptions per user"), min_value=1, initial=1)
    minimum = MoneyField(label=_("Least amount, roubles"), required=False)
    first_purchase_only = forms.BooleanField(
        label=_("First purchase only"), required=False, widget=UnfoldBooleanWidget()
    )
    exclusive = forms.BooleanField(
        label=_("Does not stack with other discounts"), required=False, widget=UnfoldBooleanWidget()
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if bool(cleaned.get("code")) == bool(cleaned.get("count")):
            raise ValidationError(_("Give either a code or how many codes to make."))
        return cleaned


class CreatePromoCodes(StaffAction):
    slug = "create-promo-codes"
    permission = "create_promo_codes"
    title = _("Create promo codes")
    icon = "add"
    form = PromoCodesForm

    def subject_url(self, subject: Any) -> str:
        return reverse("admin:billing_service_promocode_changelist")

    def command(self, order: Order, *, preview: bool) -> Any:
        values = order.values
        rules = PromoCodeRules(
            redemption_limit=values["redemption_limit"],
            limit_per_user=values["limit_per_user"],
            first_purchase_only=values["first_purchase_only"],
            minimum_minor=values["minimum"] or 0,
        )
        return create_promo_codes(
            terms_of(values, CURRENCY),
            rules,
            code=values["code"] or None,
            count=values["count"] or 1,
            actor=actor(order),
            reason=order.reason,
            preview=preview,
            now=order.now,
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        named = ", ".join(result.codes)
        codes = named or _now("%(count)s generated codes") % {"count": order.values["count"]}
        return [Row(_now("Codes"), codes), *terms_rows(order.values, CURRENCY)]
