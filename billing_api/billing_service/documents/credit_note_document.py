"""A credit note as a document: what is taken back of an invoice, line by line, with its VAT."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import Any

from billing_api.billing_service.documents import parties
from billing_api.billing_service.documents.amount_in_words import roubles_in_words
from billing_api.billing_service.documents.seller import Seller
from billing_api.billing_service.documents.words import reason_text, word
from billing_api.billing_service.models import CreditNote, CreditNoteLine
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


def credit_note_document(note: CreditNote, seller: Seller, language: Language, now: datetime) -> Row:
    """The data of template ``credit_note``: texts only, every figure from the stored note.

    Days are those of the seller's calendar, as in the number.
    """
    number = note.number or str(note.id)
    title = word("credit_note", language, number)
    invoice_day = long_day_text(_day(note.invoice.issued_at), language)
    subtitle = ", ".join(
        (
            word("invoice_of", language, long_day_text(_day(note.issued_at), language)),
            word("to_invoice", language, note.invoice.number or str(note.invoice_id), invoice_day),
        )
    )
    lines = sorted(note.lines.all(), key=lambda one: one.invoice_line.position)
    in_words = language == "ru" and note.currency == "RUB"
    return {
        "language": language,
        "title": title,
        "subtitle": subtitle,
        "mark": None,
        "footer": f"{seller.name(language)} · {title}",
        "page_word": word("page", language),
        "of_word": word("of", language),
        "seller": parties.seller_block(seller, language),
        "customer": parties.customer_block(note.account, language),
        "head": [word(name, language) for name in ("number", "item", "rate", "vat", "credited_net")],
        "lines": [_line(place, line, note.currency, language) for place, line in enumerate(lines, start=1)],
        "sums": _sums(note, lines, language),
        "in_words": word("credited_in_words", language, roubles_in_words(note.total_minor))
        if in_words
        else None,
        "reason": word("reason_is", language, reason_text(note.reason, language)),
        "signatures": parties.signatures(seller, language),
        "note": word("credit_note_note", language) + f" {word('made', language)} {day_text(_day(now))}.",
    }


def _day(at: datetime) -> date:
    return day_in_zone(at, SELLER_TIME_ZONE)


def _line(place: int, line: CreditNoteLine, currency: str, language: Language) -> Row:
    said = line.invoice_line.description
    return {
        "position": str(place),
        "description": said.get(language) or said.get("ru") or "",
        "rate": rate_text(line.vat_rate_bp, language),
        "vat": number_text(line.vat_minor, currency, language),
        "net": number_text(line.amount_minor, currency, language),
    }


def _sums(note: CreditNote, lines: list[CreditNoteLine], language: Language) -> list[Row]:
    def row(amount_minor: int, label: str, *, strong: bool = False) -> Row:
        return {
            "label": label,
            "amount": money_text(amount_minor, note.currency, language),
            "strong": strong,
        }

    vat: dict[int, int] = defaultdict(int)
    for line in lines:
        vat[line.vat_rate_bp] += line.vat_minor
    rates = sorted(vat, reverse=True)
    return [
        row(note.total_minor, word("credited_sum", language), strong=True),
        *(row(vat[rate], word("vat_of", language, rate_text(rate, language))) for rate in rates),
    ]
