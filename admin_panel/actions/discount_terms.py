"""The form fields of any discount: kind, value in the kind's unit, duration, window."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from admin_panel.actions.effects import Row, moment
from admin_panel.actions.forms import ActionForm, choice_field, number_field, text_field
from admin_panel.sections.formats import duration_text, terms_text
from admin_panel.sections.words import WORDS
from billing_api.billing_service.commands.assign_discount import DiscountTerms
from billing_api.billing_service.domain.discounts.registry import KINDS, kind_named
from shared.money import decimal_text_to_minor

_DURATIONS = ("once", "repeating_invoices", "repeating_months", "forever")
_MONEY_KINDS = ("fixed_amount", "fixed_price")


def value_of(kind: str, text: str) -> int:
    """A value as staff type it, in the unit the kind stores: percent -> basis points, roubles -> minor units.

    Raises ValueError for what is no number, and what the kind itself refuses.
    """
    compact = text.replace("\u00a0", "").replace(" ", "").replace(",", ".").rstrip("%₽")
    # Percent with two decimals and roubles with kopecks are both hundredths.
    value = decimal_text_to_minor(compact) if kind in ("percentage", *_MONEY_KINDS) else int(compact)
    kind_named(kind).check(value)
    return value


class DiscountForm(ActionForm):
    kind = choice_field(
        [(name, WORDS.get(name, name)) for name in KINDS], label=_("Kind"), initial="percentage"
    )
    value = text_field(
        label=_("Value"), max_length=20, help_text=_("Percent, roubles, or a number of periods or days.")
    )
    duration_kind = choice_field(
        [(name, WORDS[name]) for name in _DURATIONS], label=_("Duration"), initial="forever"
    )
    duration_count = number_field(
        label=_("Invoices or months"),
        min_value=1,
        max_value=120,
        required=False,
        help_text=_("For a discount on several invoices or months."),
    )
    ends_on = forms.DateField(
        label=_("Last day"),
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text=_("Empty: without an end."),
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("kind") and cleaned.get("value"):
            try:
                cleaned["value"] = value_of(cleaned["kind"], cleaned["value"])
            except ValueError as error:
                raise ValidationError(
                    {"value": _("This kind of discount does not take this value.")}
                ) from error
        if str(cleaned.get("duration_kind", "")).startswith("repeating") and not cleaned.get(
            "duration_count"
        ):
            raise ValidationError({"duration_count": _("Say how many.")})
        return cleaned


def midnight(day: date) -> datetime:
    """The moment a day begins in the panel's zone, as UTC."""
    return datetime.combine(day, time(), ZoneInfo(settings.TIME_ZONE)).astimezone(UTC)


def ends_at(values: Any) -> datetime | None:
    """The moment after the last day."""
    return midnight(values["ends_on"] + timedelta(days=1)) if values.get("ends_on") else None


def terms_of(values: Any, currency: str) -> DiscountTerms:
    """BillingService's terms from the cleaned form."""
    return DiscountTerms(
        kind=values["kind"],
        value=values["value"],
        currency=currency,
        is_exclusive=bool(values.get("exclusive")),
        duration_kind=values["duration_kind"],
        duration_count=values.get("duration_count") or 1,
        ends_at=ends_at(values),
    )


def terms_rows(values: Any, currency: str) -> list[Row]:
    """What a discount with these terms does."""
    terms = terms_of(values, currency)
    rows = [
        Row(_now("Discount"), terms_text(terms)),
        Row(_now("Duration"), duration_text(terms)),
        Row(_now("Works"), _now("from the next invoice on")),
    ]
    if terms.ends_at is not None:
        rows.append(Row(_now("Ends"), moment(terms.ends_at)))
    return rows
