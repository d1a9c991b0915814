"""An invoice as a document: its lines, VAT, payments and credit notes, in Russian or English."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any, Final

from billing_api.billing_service.documents import parties
from billing_api.billing_service.documents.amount_in_words import roubles_in_words
from billing_api.billing_service.documents.seller import Seller
from billing_api.billing_service.documents.words import reason_text, word
from billing_api.billing_service.models import Invoice, InvoiceLine
from billing_api.billing_service.numbering import SELLER_TIME_ZONE
from billing_api.billing_service.wording import (
    Language,
    day_text,
    long_day_text,
    money_text,
    number_text,
    rate_text,
)
from shared.period import day_in_zone

Row = dict[str, Any]
_NOTHING_SOLD: Final = dict.fromkeys(("quantity", "list", "rate", "vat", "net"), "—")


def invoice_document(invoice: Invoice, seller: Seller, language: Language, now: datetime) -> Row:
    """The data of template ``invoice``: texts only, every figure from the stored invoice.

    Days are those of the seller's calendar, as in the invoice's number.
    """
    lines = sorted(invoice.lines.all(), key=lambda one: one.position)
    number = invoice.number or str(invoice.id)
    subtitle = word("invoice_of", language, long_day_text(_day(invoice.issued_at), language))
    if invoice.status == "open":
        subtitle += ", " + word("due", language, long_day_text(_day(invoice.due_at), language))
    in_words = language == "ru" and invoice.currency == "RUB" and invoice.total_minor >= 0
    return {
        "language": language,
        "title": word("invoice", language, number),
        "subtitle": subtitle,
        "mark": word(invoice.status, language),
        "footer": f"{seller.name(language)} · {word('invoice', language, number)}",
        "page_word": word("page", language),
        "of_word": word("of", language),
        "seller": parties.seller_block(seller, language),
        "customer": parties.customer_block(invoice.account, language),
        "head": [
            word(name, language)
            for name in ("number", "item", "quantity", "price", "discount", "rate", "vat", "net")
        ],
        "lines": [
            _line(line, invoice.currency, language) | (_NOTHING_SOLD if invoice.kind == "debt" else {})
            for line in lines
        ],
        "sums": _sums(invoice, lines, language),
        "in_words": _in_words(invoice, lines) if in_words else None,
        **_payments(invoice, language),
        **_credit_notes(invoice, language),
        "signatures": parties.signatures(seller, language),
        "note": word("debt_note" if invoice.kind == "debt" else "invoice_note", language)
        + f" {word('made', language)} {day_text(_day(now))}.",
    }


def _in_words(invoice: Invoice, lines: list[InvoiceLine]) -> str:
    """What accountants write under the sums: how many items, for how much, and that in words."""
    asked_minor = -invoice.balance_applied_minor if invoice.kind == "debt" else invoice.total_minor
    amount = money_text(asked_minor, invoice.currency, "ru")
    counted = word("items_counted", "ru", str(len(lines)), amount)
    return f"{counted} {word('in_words', 'ru', roubles_in_words(asked_minor))}"


def _day(at: datetime) -> date:
    return day_in_zone(at, SELLER_TIME_ZONE)


def _line(line: InvoiceLine, currency: str, language: Language) -> Row:
    period = None
    if line.period_start_on and line.period_end_on:
        last = line.period_end_on - timedelta(days=1)  # periods are half-open; people read the last day
        period = word("period", language, day_text(line.period_start_on), day_text(last))
        for step in line.steps:
            if step.get("kind") == "proration":
                days = word("part_of_days", language, str(step["days"]), str(step["period_days"]))
                period = f"{period}, {days}"
    described = line.description.get(language) or line.description.get("ru") or ""

    def figure(amount_minor: int) -> str:
        return number_text(amount_minor, currency, language)

    return {
        "position": str(line.position),
        "description": described,
        "period": period,
        "quantity": str(line.quantity),
        "list": figure(line.list_minor),
        "discount": figure(line.discount_minor) if line.discount_minor else "—",
        "rate": rate_text(line.vat_rate_bp, language),
        "vat": figure(line.vat_minor),
        "net": figure(line.net_minor),
    }


def _sums(invoice: Invoice, lines: list[InvoiceLine], language: Language) -> list[Row]:
    currency = invoice.currency

    def row(name: str, amount_minor: int, *values: str, strong: bool = False) -> Row:
        amount = money_text(amount_minor, currency, language)
        return {"label": word(name, language, *values), "amount": amount, "strong": strong}

    vat: dict[int, int] = defaultdict(int)
    for line in lines:
        vat[line.vat_rate_bp] += line.vat_minor
    found = []
    if invoice.discount_minor:
        found += [
            row("list_total", invoice.list_minor),
            row("discount_total", -invoice.discount_minor),
        ]
    if invoice.kind != "debt":  # which sells nothing
        found.append(row("total", invoice.total_minor, strong=True))
        found += [row("vat_of", vat[rate], rate_text(rate, language)) for rate in sorted(vat, reverse=True)]
    for name, amount_minor in (
        ("balance_applied", max(0, invoice.balance_applied_minor)),
        ("debt_carried", max(0, -invoice.balance_applied_minor)),
        ("credited_total", invoice.credited_unpaid_minor),
        ("paid_total", invoice.paid_minor),
        ("written_off", invoice.written_off_minor),
    ):
        if amount_minor:
            found.append(row(name, amount_minor))
    if invoice.total_minor < 0:
        found.append(row("to_balance", -invoice.total_minor, strong=True))
    else:
        found.append(row("amount_due", invoice.amount_due_minor, strong=True))
    return found


def _payments(invoice: Invoice, language: Language) -> Row:
    rows = [
        {
            "day": day_text(_day(payment.succeeded_at or payment.created_at)),
            "text": word("bank_transfer", language)
            if payment.provider == "bank_transfer"
            else word("card", language, payment.card_mask).strip(),
            "amount": money_text(payment.allocated_minor, invoice.currency, language),
        }
        for payment in invoice.payments.filter(allocated_minor__gt=0).order_by("created_at", "id")
    ]
    head = [word(name, language) for name in ("date", "how", "amount")]
    return {"payments_title": word("payments", language), "payments_head": head, "payments": rows}


def _credit_notes(invoice: Invoice, language: Language) -> Row:
    notes = list(invoice.credit_notes.order_by("issued_at", "id"))
    currency = invoice.currency
    rows = [
        {
            "number": note.number or str(note.id),
            "day": day_text(_day(note.issued_at)),
            "reason": reason_text(note.reason, language),
            "vat": money_text(note.vat_minor, currency, language),
            "amount": money_text(note.total_minor, currency, language),
        }
        for note in notes
    ]
    left = invoice.total_minor - sum(note.total_minor for note in notes)
    left_vat = invoice.vat_minor - sum(note.vat_minor for note in notes)
    after = [
        {
            "label": word("after_credits", language),
            "amount": money_text(left, currency, language),
            "strong": True,
        },
        {
            "label": word("vat_after_credits", language),
            "amount": money_text(left_vat, currency, language),
            "strong": False,
        },
    ]
    return {
        "credit_notes_title": word("credit_notes", language),
        "credit_notes_head": [word(name, language) for name in ("number", "date", "reason", "vat", "amount")],
        "credit_notes": rows,
        "after_credits": after if notes else [],
    }
