"""Form fields staff fill in: amounts in roubles as text, the reason, the token."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from shared.money import MAX_AMOUNT_MINOR, decimal_text_to_minor
from shared.plain_text import one_line

REASON_LENGTH = 150


class MoneyField(forms.CharField):
    """``50``, ``50.00`` or ``50,00``; gives minor units, positive."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("widget", UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal"}))
        options.setdefault("max_length", 20)
        super().__init__(**options)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        compact = str(text).replace("\u00a0", "").replace(" ", "").replace("₽", "").replace(",", ".")
        try:
            amount_minor = decimal_text_to_minor(compact)
        except ValueError as error:
            raise ValidationError(_("Enter an amount such as 50 or 49.90.")) from error
        if not 0 < amount_minor <= MAX_AMOUNT_MINOR:
            raise ValidationError(_("Enter an amount above zero."))
        return amount_minor


class ActionForm(forms.Form):
    """Base of the forms: a reason is always given, the token is spent once."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LENGTH,
        min_length=3,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text=_("Kept in the audit with your name."),
    )
    token = forms.UUIDField(widget=forms.HiddenInput)
    field_order: Any = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        own = [name for name in self.fields if name not in ("reason", "token")]
        self.order_fields([*own, "reason", "token"])

    def clean_reason(self) -> str:
        """One line, as it is written on documents and sent to the other services."""
        reason: str = self.cleaned_data["reason"]
        return one_line(reason)

    def summary(self) -> list[tuple[Any, Any]]:
        """(label, what was entered) of a valid form, as shown above the preview."""
        shown = []
        for name, field in self.fields.items():
            given = self.data.get(name)
            if name == "token" or given in (None, ""):
                continue
            if isinstance(field, forms.BooleanField):
                given = _("yes")
            elif isinstance(field, forms.ChoiceField):
                given = dict(field.choices).get(given, given)  # type: ignore[arg-type]
            shown.append((field.label, given))
        return shown


def choice_field(choices: Any, **options: Any) -> forms.ChoiceField:
    return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget(), **options)


def number_field(**options: Any) -> forms.IntegerField:
    return forms.IntegerField(
        widget=UnfoldAdminTextInputWidget(attrs={"type": "number", "min": options.get("min_value", 1)}),
        **options,
    )


def text_field(**options: Any) -> forms.CharField:
    return forms.CharField(widget=UnfoldAdminTextInputWidget(), **options)
