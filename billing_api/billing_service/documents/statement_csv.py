"""A statement as CSV, row by row, as the spreadsheet of its language expects it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from typing import Final

from billing_api.billing_service.documents.words import word
from billing_api.billing_service.statement import Movement, Statement
from billing_api.billing_service.wording import Language
from shared.money import EXPONENTS
from shared.period import day_in_zone

_HEAD: Final = (
    *("date", "kind", "document_number", "description"),
    *("charged", "credited", "balance", "currency"),
)
# A spreadsheet takes a text that begins so for a formula (OWASP, CSV Injection).
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_BYTE_ORDER_MARK: Final = "\ufeff"  # without it Excel reads UTF-8 as the machine's old code page


class _Line:
    """What ``csv.writer`` writes to: keeps the one line that was written last."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)


def statement_csv(statement: Statement, language: Language) -> Iterator[bytes]:
    """UTF-8 with a mark; ``;`` and decimal comma in Russian, ``,`` and point in English.

    First row after the head: opening balance, last row: closing balance with the turnovers. Texts that a
    spreadsheet could take for a formula get an apostrophe before them; figures are never quoted.
    """
    line = _Line()
    writer = csv.writer(line, delimiter=";" if language == "ru" else ",", lineterminator="\r\n")

    def row(*cells: str) -> bytes:
        writer.writerow(cells)
        return line.text.encode()

    yield _BYTE_ORDER_MARK.encode()
    yield row(*(word(name, language) for name in _HEAD))

    def figure(amount_minor: int) -> str:
        return _figure(amount_minor, statement.currency, language)

    opening, closing = word("opening_row", language), word("closing_row", language)
    currency, zone = statement.currency, statement.time_zone
    yield row(_day(statement.from_on), "", "", opening, "", "", figure(statement.opening_minor), currency)
    for movement in statement.movements:
        charged, credited = max(0, -movement.amount_minor), max(0, movement.amount_minor)
        yield row(
            _day(day_in_zone(movement.at, zone)),
            *_texts(movement, language),
            figure(charged) if charged else "",
            figure(credited) if credited else "",
            figure(movement.balance_minor),
            currency,
        )
    sums = (statement.charged_minor, statement.credited_minor, statement.closing_minor)
    yield row(_day(statement.to_on), "", "", closing, *(figure(amount) for amount in sums), currency)


def _texts(movement: Movement, language: Language) -> tuple[str, str, str]:
    described = movement.description_ru if language == "ru" else movement.description_en
    kind = word(f"kind_{movement.kind}", language)
    return kind, harmless(movement.number or ""), harmless(described)


def harmless(text: str) -> str:
    """The text as a spreadsheet must show it, never compute it."""
    told = text.replace("\x00", "")
    return f"'{told}" if told.lstrip(" ").startswith(_FORMULA_STARTS) else told


def _day(day: date) -> str:
    return day.isoformat()


def _figure(amount_minor: int, currency: str, language: Language) -> str:
    """A plain number without spaces between the digits, so that it is read as one."""
    exponent = EXPONENTS.get(currency, 2)
    whole, part = divmod(abs(amount_minor), 10**exponent)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{whole}{',' if language == 'ru' else '.'}{part:0{exponent}d}"
