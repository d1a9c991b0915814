"""Creates and ends promotions.

``/admin/billing_service/promotion/create/``: the fields of a discount (see ``actions.account``),
``label``, ``segment`` (``all`` or ``new_customers``), ``product`` (id, empty: every product), ``budget`` in
roubles (empty: no limit), ``starts_on`` (optional date), ``priority``, ``exclusive``, ``reason``,
``token``; then ``confirm=1``. ``…/promotion/<promotion_id>/end/``: ``reason``, ``token``; then
``confirm=1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from admin_panel.actions.base import Order, StaffAction, actor
from admin_panel.actions.discount_terms import DiscountForm, midnight, terms_of
from admin_panel.actions.effects import Row, moment
from admin_panel.actions.forms import ActionForm, MoneyField, choice_field, number_field, text_field
from admin_panel.actions.subjects import load
from admin_panel.databases import BILLING_PAGES
from admin_panel.sections.formats import (
    duration_text,
    localized,
    money_text,
    page_url,
    terms_text,
)
from admin_panel.sections.words import WORDS, word
from billing_api.billing_service.commands.assign_discount import DiscountTerms
from billing_api.billing_service.commands.create_promotion import (
    SEGMENTS,
    PromotionRules,
    create_promotion,
)
from billing_api.billing_service.commands.end_promotion import end_promotion
from billing_api.billing_service.models import Product, Promotion

CURRENCY = "RUB"


class PromotionForm(DiscountForm):
    """``products``: (id, title) of those a promotion can be limited to."""

    label = text_field(
        label=_("Name"), max_length=100, help_text=_("Customers read it in the explanation of their invoice.")
    )
    segment = choice_field([(name, WORDS[name]) for name in SEGMENTS], label=_("For whom"), initial="all")
    product = choice_field([], label=_("Product"), required=False)
    budget = MoneyField(
        label=_("Budget, roubles"),
        required=False,
        help_text=_("Empty: without a limit. It is never overspent."),
    )
    starts_on = forms.DateField(
        label=_("First day"),
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text=_("Empty: at once."),
    )
    priority = number_field(
        label=_("Priority"), min_value=0, max_value=1000, initial=0, help_text=_("The larger goes first.")
    )
    exclusive = forms.BooleanField(
        label=_("Does not stack with other discounts"), required=False, widget=UnfoldBooleanWidget()
    )

    def __init__(self, *args: Any, products: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["product"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("Every product")), *products]
        self.order_fields(["label", "kind", "value", "segment", "product", "budget", "starts_on", "ends_on"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        starts_on, ends_on = cleaned.get("starts_on"), cleaned.get("ends_on")
        if starts_on and ends_on and ends_on < starts_on:
            raise ValidationError({"ends_on": _("The last day is before the first.")})
        return cleaned


def promotion_terms(values: Mapping[str, Any]) -> DiscountTerms:
    """BillingService's terms from the cleaned form."""
    return replace(
        terms_of(values, CURRENCY),
        label=values["label"],
        priority=values["priority"],
        product_ids=(UUID(values["product"]),) if values["product"] else (),
        starts_at=midnight(values["starts_on"]) if values["starts_on"] else None,
    )


def products() -> list[tuple[str, str]]:
    """(id, title) of what is on sale."""
    rows = Product.objects.using(BILLING_PAGES).filter(status="published").order_by("rank", "slug")
    return [(str(row.pk), localized(row.title)) for row in rows]


class CreatePromotion(StaffAction):
    slug = "create-promotion"
    permission = "create_promotion"
    title = _("Create a promotion")
    icon = "add"
    form = PromotionForm
    warning = _("Once it is created only its end can be changed.")

    def subject_url(self, subject: Any) -> str:
        return reverse("admin:billing_service_promotion_changelist")

    def form_for(self, subject: Any, data: Any, initial: Mapping[str, Any]) -> ActionForm:
        return PromotionForm(data, initial=dict(initial), products=products())

    def command(self, order: Order, *, preview: bool) -> Any:
        return create_promotion(
            promotion_terms(order.values),
            PromotionRules(segment=order.values["segment"], budget_minor=order.values["budget"]),
            actor=actor(order),
            reason=order.reason,
            preview=preview,
            now=order.now,
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        terms = promotion_terms(order.values)
        title = dict(products()).get(order.values["product"])
        budget_minor = order.values["budget"]
        return [
            Row(_now("Discount"), terms_text(terms)),
            Row(_now("Duration"), duration_text(terms)),
            Row(_now("For whom"), word(order.values["segment"])),
            Row(_now("Product"), title or _now("Every product")),
            Row(_now("Budget"), money_text(budget_minor, CURRENCY)),
            Row(_now("Starts"), moment(result.begins_at)),
            Row(_now("Ends"), moment(terms.ends_at)),
        ]


class EndPromotion(StaffAction):
    slug = "end"
    permission = "end_promotion"
    title = _("End the promotion")
    icon = "event_busy"
    form = ActionForm
    warning = _("An ended promotion cannot be started again.")

    @classmethod
    def is_offered(cls, subject_id: UUID | None) -> bool:
        if subject_id is None:
            return False
        return Promotion.objects.using(BILLING_PAGES).filter(pk=subject_id, is_active=True).exists()

    def subject(self, subject_id: Any) -> Promotion:
        return load(Promotion, subject_id)

    def subject_text(self, subject: Any) -> str:
        return subject.label or str(terms_text(subject))

    def subject_url(self, subject: Promotion) -> str:
        return page_url("billing_service_promotion", subject.pk)

    def command(self, order: Order, *, preview: bool) -> Any:
        return end_promotion(
            order.subject.pk, actor=actor(order), reason=order.reason, preview=preview, now=order.now
        )

    def rows(self, order: Order, result: Any) -> list[Row]:
        return [
            Row(_now("Discount"), terms_text(order.subject)),
            Row(_now("Ends"), moment(result.ended_at)),
            Row(_now("Spent"), money_text(result.budget_spent_minor, order.subject.currency)),
            Row(_now("Invoices"), _now("those issued keep it, later ones do not get it")),
        ]
