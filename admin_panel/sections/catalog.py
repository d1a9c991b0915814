"""Pages of the catalogue: films, collections, products with prices, and publishing."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from admin_panel.actions.catalogue import PublishCollection, PublishProduct, RetireProduct
from admin_panel.actions.forms import MoneyField
from admin_panel.catalog.commands.publish import unknown_grants
from admin_panel.catalog.models import Collection, Price, Product
from admin_panel.sections.base import StaffActions, badge
from admin_panel.sections.formats import moment_text, money_text
from admin_panel.settings import clock
from billing_api.billing_service.dunning_plan import policy_of
from shared.errors import AppError
from shared.money import minor_to_decimal_text


class CatalogAdmin(StaffActions, SimpleHistoryAdmin, ModelAdmin):
    """Rows of the Movies database; nothing is deleted, products are retired."""

    list_per_page = 50
    list_fullwidth = True
    warn_unsaved_form = True
    actions = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if hasattr(obj, "updated_at"):
            obj.updated_at = clock().now()
        super().save_model(request, obj, form, change)


class MovieAdmin(CatalogAdmin):
    list_display = ("title", "released_on", "genre", "director", "mpaa_rating", "imdb_rating")
    list_filter = ("genre", "mpaa_rating")
    search_fields = ("title", "director")


@display(description=_("Published"), ordering="published_at")
def published(row: Any) -> Any:
    """When; with a mark when it was changed since."""
    if row.published_at is None:
        return "—"
    changed = f" · {_now('changed since')}" if row.updated_at > row.published_at else ""
    return moment_text(row.published_at) + changed


class CollectionAdmin(CatalogAdmin):
    list_display = ("slug", "title_ru", "title_en", "size", published)
    search_fields = ("slug", "title_ru", "title_en")
    fields = ("slug", "title_ru", "title_en", "movies")
    autocomplete_fields = ("movies",)
    staff_actions = (PublishCollection,)

    @display(description=_("films"))
    def size(self, row: Collection) -> int:
        return row.movies.count()


class PriceForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A price with its amount in roubles as text."""

    amount = MoneyField(label=_("amount"))
    next_amount = MoneyField(label=_("next amount"), required=False)
    minimum = MoneyField(
        label=_("least price after discounts"),
        required=False,
        help_text=_("Free days and periods go below it. Empty: no minimum."),
    )

    class Meta:
        model = Price
        fields = (
            "amount", "currency", "interval_unit", "interval_count", "term_periods", "trial_days",
            "access_days", "next_amount", "valid_from_at", "minimum", "is_default", "is_active",
        )  # fmt: skip

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.amount_minor is not None:
            self.initial["amount"] = minor_to_decimal_text(self.instance.amount_minor, self.instance.currency)
        if self.instance.next_amount_minor is not None:
            self.initial["next_amount"] = minor_to_decimal_text(
                self.instance.next_amount_minor, self.instance.currency
            )

        if self.instance.minimum_minor is not None:
            self.initial["minimum"] = minor_to_decimal_text(
                self.instance.minimum_minor, self.instance.currency
            )

    def clean(self) -> Any:
        cleaned = super().clean() or {}
        if (cleaned.get("minimum") or 0) > (cleaned.get("amount") or 0):
            self.add_error("minimum", _("The minimum is above the price."))
        if cleaned.get("next_amount") is not None and cleaned.get("valid_from_at") is None:
            self.add_error("valid_from_at", _("Say from when the next amount holds."))
        if cleaned.get("term_periods") is not None and not cleaned.get("interval_unit"):
            self.add_error("term_periods", _("Only a subscription has a fixed term."))
        was_on_sale = not self.instance._state.adding and self.instance.product.published_at is not None
        if was_on_sale and "currency" in self.changed_data:
            self.add_error("currency", _("A published price keeps its currency. Add a new price instead."))
        return cleaned

    def save(self, commit: bool = True) -> Any:
        self.instance.amount_minor = self.cleaned_data["amount"]
        self.instance.next_amount_minor = self.cleaned_data["next_amount"]
        self.instance.minimum_minor = self.cleaned_data["minimum"]
        return super().save(commit)


class PriceInline(TabularInline):
    model = Price
    form = PriceForm
    hide_title = True
    extra = 0
    can_delete = False


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A product; its grants one a row."""

    grants = forms.CharField(
        label=_("Grants"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 5}),
        # no angle brackets: the page takes a help text for HTML
        help_text=_("collection:CODE, movie:ID or feature:CODE, one a row."),
    )
    reduced_grants = forms.CharField(
        label=_("Grants after the grace"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_(
            "Those of the grants that go on for who does not pay, until the day of cancellation, one a row."
            " Empty: access is blocked when the grace is over."
        ),
    )
    # What the form was opened with: an edit over somebody else's is refused.
    seen_at = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Product
        exclude = ("updated_at",)
        widgets: ClassVar[dict[str, Any]] = {
            "description_ru": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
            "description_en": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
            "title_ru": UnfoldAdminTextInputWidget(),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk and self.instance.updated_at:
            self.initial["grants"] = "\n".join(self.instance.grants or [])
            self.initial["reduced_grants"] = "\n".join(self.instance.reduced_grants or [])
            self.initial["seen_at"] = self.instance.updated_at.isoformat()

    def clean_grants(self) -> list[str]:
        grants = _rows_of(self.cleaned_data["grants"])
        if unknown := unknown_grants(grants):
            raise ValidationError(_("Unknown: %(names)s") % {"names": ", ".join(unknown)})
        return grants

    def clean_reduced_grants(self) -> list[str]:
        reduced = _rows_of(self.cleaned_data["reduced_grants"])
        if beyond := [name for name in reduced if name not in self.cleaned_data.get("grants", reduced)]:
            raise ValidationError(_("Not among the grants: %(names)s") % {"names": ", ".join(beyond)})
        return reduced

    def clean_dunning_policy(self) -> dict[str, Any]:
        policy = self.cleaned_data["dunning_policy"] or {}
        try:
            policy_of(policy)
        except AppError as refusal:
            raise ValidationError(str(refusal)) from refusal
        return policy

    def clean(self) -> Any:
        cleaned = super().clean()
        seen = self.cleaned_data.get("seen_at")
        if seen and self.instance.updated_at and seen != self.instance.updated_at.isoformat():
            raise ValidationError(_("Somebody changed this product meanwhile. Open it again."))
        return cleaned


def _rows_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


class ProductAdmin(CatalogAdmin):
    form = ProductForm
    inlines = (PriceInline,)
    list_display = ("slug", "title_ru", "kind", "group", "price", "state", "rank", published)
    list_filter = ("kind", "status", "group")
    search_fields = ("slug", "title_ru", "title_en")
    fieldsets = (
        (None, {"fields": ("slug", ("title_ru", "title_en"), "kind", "group", "grants", "seen_at")}),
        (_("Texts"), {"fields": ("description_ru", "description_en")}),
        (
            _("Rules"),
            {
                "fields": (
                    "grace_days",
                    "reduced_grants",
                    ("trial_needs_method", "trial_without_method"),
                    "refund_window_days",
                    ("change_dearer", "change_cheaper"),
                    "dunning_policy",
                    "rank",
                )
            },
        ),
    )
    staff_actions = (PublishProduct, RetireProduct)

    @display(description=_("status"), ordering="status")
    def state(self, row: Product) -> Any:
        return badge(row.status)

    @display(description=_("price"))
    def price(self, row: Product) -> str:
        prices = [price for price in row.prices.all() if price.is_active]
        return ", ".join(
            money_text(each.amount_minor, each.currency)
            + (f" / {each.get_interval_unit_display()}" if each.interval_unit else "")
            for each in prices
        )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("prices")
