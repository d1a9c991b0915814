"""A statement as a document of pages, for ranges of at most 5,000 movements."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from billing_api.billing_service.documents import parties
from billing_api.billing_service.documents.seller import Seller
from billing_api.billing_service.documents.words import word
from billing_api.billing_service.models import Account
from billing_api.billing_service.statement import Movement, Statement
from billing_api.billing_service.wording import Language, day_text, long_day_text, number_text
from shared.errors import invalid
from shared.period import day_in_zone

# About 140 pages, 2 s and 80 MB. JSON and CSV have no such limit: they stream.
MOST_MOVEMENTS: Final = 5_000


def statement_document(
    statement: Statement, seller: Seller, language: Language, now: datetime
) -> dict[str, Any]:
    """The data of template ``statement``. Raises ``statement-too-long`` (422)."""
    if statement.count > MOST_MOVEMENTS:
        raise invalid(
            "statement-too-long",
            f"A statement as PDF has at most {MOST_MOVEMENTS} movements, this one has {statement.count}. "
            "Ask for a shorter range, or for CSV or JSON.",
        )
    account = Account.objects.filter(user_id=statement.user_id).first()
    currency, zone = statement.currency, statement.time_zone

    def figure(amount_minor: int) -> str:
        return number_text(amount_minor, currency, language)

    def row(movement: Movement) -> dict[str, str]:
        text = movement.description_ru if language == "ru" else movement.description_en
        return {
            "day": day_text(day_in_zone(movement.at, zone)),
            "text": text,
            "charged": figure(-movement.amount_minor) if movement.amount_minor < 0 else "",
            "credited": figure(movement.amount_minor) if movement.amount_minor > 0 else "",
            "balance": figure(movement.balance_minor),
        }

    title = word("statement", language)
    customer = {"label": word("customer", language), "name": "—", "lines": [str(statement.user_id)]}
    return {
        "language": language,
        "title": title,
        "subtitle": word(
            "range",
            language,
            long_day_text(statement.from_on, language),
            long_day_text(statement.to_on, language),
        ),
        "mark": currency,
        "footer": f"{seller.name(language)} · {title} · {statement.user_id}",
        "page_word": word("page", language),
        "of_word": word("of", language),
        "seller": parties.seller_block(seller, language),
        "customer": parties.customer_block(account, language) if account else customer,
        "head": [
            word("date", language),
            word("document", language),
            *(f"{word(name, language)}, {currency}" for name in ("charged", "credited", "balance")),
        ],
        "opening": {
            "day": day_text(statement.from_on),
            "label": word("opening", language),
            "balance": figure(statement.opening_minor),
        },
        "movements": [row(movement) for movement in statement.movements],
        "closing": {
            "day": day_text(statement.to_on),
            "label": word("closing", language),
            "charged": figure(statement.charged_minor),
            "credited": figure(statement.credited_minor),
            "balance": figure(statement.closing_minor),
        },
        "note": word("statement_note", language, zone)
        + f" {word('made', language)} {day_text(day_in_zone(now, zone))}.",
    }
