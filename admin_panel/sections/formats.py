"""Amounts, moments and ids as staff read them, in their language."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from admin_panel.sections.words import word
from billing_api.billing_service import wording
from billing_api.billing_service.documents.words import reason_text
from billing_api.billing_service.models import Account, Invoice


def language() -> wording.Language:
    """``ru`` or ``en``."""
    return "ru" if (get_language() or "ru").startswith("ru") else "en"


def money_text(amount_minor: int | None, currency: str = "RUB") -> str:
    """Minor units as billing's own explanations and documents write them, in the reader's language."""
    return "—" if amount_minor is None else wording.money_text(amount_minor, currency, language())


def given_reason(reason: str) -> str:
    """The reason of a refund or credit note: what services gave in words, what staff typed as it is."""
    return reason_text(reason, language()) or "—"


def rate_text(rate_bp: int | None) -> str:
    """Basis points as percent, as explanations and documents write them."""
    return wording.rate_text(rate_bp or 0, language())


def moment_text(moment: datetime | None) -> str:
    """A moment in the panel's time zone."""
    if moment is None:
        return "—"
    return formats.date_format(timezone.localtime(moment), "d.m.Y H:i" if language() == "ru" else "j M Y H:i")


def day_text(day: date | None) -> str:
    if day is None:
        return "—"
    return formats.date_format(day, "d.m.Y" if language() == "ru" else "j M Y")


def period_text(start: date | None, end: date | None) -> str:
    """A half-open period of days, shown with its last day as invoices show it."""
    if start is None or end is None:
        return "—"
    return f"{day_text(start)} – {day_text(end - timedelta(days=1))}"


def number_text(number: str | None) -> SafeString | None:
    """The number of a document, which a narrow column does not break."""
    return None if number is None else format_html('<span class="whitespace-nowrap">{}</span>', number)


def localized(text: Any) -> str:
    """The reader's language of ``{"ru": ..., "en": ...}``."""
    if isinstance(text, dict):
        return str(text.get(language()) or text.get("en") or text.get("ru") or "")
    return str(text or "")


def page_url(model: str, pk: Any) -> str:
    """The page of a row; ``model`` is ``app_label_modelname``."""
    return reverse(f"admin:{model}_change", args=[pk])


def link(model: str, pk: UUID | None, text: object | None = None) -> SafeString | str:
    """A link to a row's page, or a dash."""
    if pk is None:
        return "—"
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500 hover:underline" href="{}">{}</a>',
        page_url(model, pk),
        text or short(pk),
    )


def to_invoice(invoice: Invoice | None) -> SafeString | str:
    """A link to the page of an invoice, or a dash."""
    if invoice is None:
        return "—"
    return link("billing_service_invoice", invoice.pk, number_text(invoice.number))


def name_of(account: Account) -> str:
    """Name and e-mail for documents; erased customers have neither."""
    customer = getattr(account, "customer", None)
    if customer is None:
        return str(_("erased"))
    return ", ".join(part for part in (customer.document_name, customer.email) if part)


def short(identifier: UUID | str) -> str:
    """The end of a UUIDv7: its random part tells rows apart, its beginning is the time."""
    return f"…{str(identifier)[-8:]}"


def terms_text(discount: Any) -> str:
    """What a discount takes off, from its kind and value."""
    match discount.kind:
        case "percentage":
            return rate_text(discount.value)
        case "fixed_amount" | "fixed_price":
            return f"{word(discount.kind)} {money_text(discount.value, discount.currency)}"
        case kind:
            return f"{word(kind)}: {discount.value}"


def duration_text(discount: Any) -> str:
    """For how long a discount works once given."""
    words = word(discount.duration_kind)
    return f"{words}: {discount.duration_count}" if discount.duration_kind.startswith("repeating") else words
