"""A statement as a document of pages, set some pages at a time, whatever its length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from billing_api.billing_service.documents import parties
from billing_api.billing_service.documents.joining import joined
from billing_api.billing_service.documents.letters import lines_of
from billing_api.billing_service.documents.seller import Seller
from billing_api.billing_service.documents.typesetting import set_pdf
from billing_api.billing_service.documents.words import word
from billing_api.billing_service.models import Account
from billing_api.billing_service.statement import Movement, Statement
from billing_api.billing_service.wording import Language, day_text, long_day_text, number_text
from shared.period import day_in_zone

# Typst keeps what it set last for a while: eight pages at a time make about 130 MB of a whole process.
PAGES_AT_ONCE: Final = 8
# Lengths as the templates have them, in millimetres and points.
_PAGE_MM: Final = 260.0
_HEAD_MM: Final = 7.0
_ROW_MM: Final = 6.0
_LINE_MM: Final = 4.1  # every further line of a row
_CLOSING_MM: Final = 2 * _ROW_MM + 18.0  # turnovers, closing balance, the note
_COLUMNS_MM: Final = (20.0, 65.0, 29.0, 29.0, 31.0)
_TEXT_MM: Final = 61.5  # the second column without its inset
_PARTY_MM: Final = 80.0
_TEXT_POINTS: Final = 9.2
_MOST_LINES: Final = 40

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Row:
    """A movement with its text in lines; sums over all movements up to it, minor units."""

    movement: Movement
    lines: tuple[str, ...]
    charged_minor: int
    credited_minor: int

    @property
    def height_mm(self) -> float:
        return _ROW_MM + _LINE_MM * (len(self.lines) - 1)


def statement_pdf(statement: Statement, seller: Seller, language: Language, now: datetime) -> Iterator[bytes]:
    """The PDF in pieces, a few pages made at a time; the same statement and moment give the same bytes."""
    page_count, parts = statement_parts(statement, seller, language, now)
    return joined((set_pdf("statement", data, now, tagged=False) for data in parts), page_count)


def statement_parts(
    statement: Statement, seller: Seller, language: Language, now: datetime
) -> tuple[int, Iterator[Data]]:
    """How many pages there will be, and the data of template ``statement`` for some of them at a time.

    The movements are read twice: once for where the pages end, once for what stands on them.
    """
    common = _common(statement, seller, language, now)
    room = _PAGE_MM - common["heading_mm"]
    page_count = sum(1 for _ in _pages(_rows(statement.again(), language), room))
    common["page_count"] = page_count
    return page_count, _parts(_pages(_rows(statement.movements, language), room), common, statement, language)


def _rows(movements: Iterable[Movement], language: Language) -> Iterator[_Row]:
    charged = credited = 0
    for movement in movements:
        charged += max(0, -movement.amount_minor)
        credited += max(0, movement.amount_minor)
        text = movement.description_ru if language == "ru" else movement.description_en
        lines = lines_of(text, _TEXT_MM, _TEXT_POINTS)
        if len(lines) > _MOST_LINES:
            lines = (*lines[: _MOST_LINES - 1], "…")
        yield _Row(movement, lines, charged, credited)


def _pages(rows: Iterable[_Row], first_page_mm: float) -> Iterator[list[_Row]]:
    """The rows of each page; the last has room for the closing rows.

    Every page but the last ends with what is carried forward, every page but the first begins with it; the
    first has the opening balance there.
    """
    page: list[_Row] = []
    room = first_page_mm - _HEAD_MM - 2 * _ROW_MM
    for row in rows:
        if row.height_mm > room:
            yield page
            page, room = [], _PAGE_MM - _HEAD_MM - 2 * _ROW_MM
        page.append(row)
        room -= row.height_mm
    if room + _ROW_MM < _CLOSING_MM:
        yield page
        page = []
    yield page


def _parts(
    pages: Iterator[list[_Row]], common: Data, statement: Statement, language: Language
) -> Iterator[Data]:
    set_pages: list[Data] = []
    last, done = None, 0
    for number, rows in enumerate(pages, start=1):
        is_last = number == common["page_count"]
        set_pages.append(_page(rows, last, statement, language, is_last=is_last, note=common["note"]))
        last = rows[-1] if rows else last
        if len(set_pages) == PAGES_AT_ONCE or is_last:
            yield {**common, "first_page": done + 1, "heading": done == 0, "pages": set_pages}
            set_pages, done = [], number


def _page(
    rows: list[_Row],
    before: _Row | None,
    statement: Statement,
    language: Language,
    *,
    is_last: bool,
    note: str,
) -> Data:
    currency, zone = statement.currency, statement.time_zone

    def figure(amount_minor: int) -> str:
        return number_text(amount_minor, currency, language)

    def strong(day: str, label: str, *figures: str) -> Data:
        return {"cells": [day, [word(label, language)], *figures], "strong": True}

    def carried(label: str, row: _Row) -> Data:
        sums = (row.charged_minor, row.credited_minor, row.movement.balance_minor)
        return strong("", label, *(figure(amount) for amount in sums))

    def moved(row: _Row) -> Data:
        amount = row.movement.amount_minor
        cells = [
            day_text(day_in_zone(row.movement.at, zone)),
            list(row.lines),
            figure(-amount) if amount < 0 else "",
            figure(amount) if amount > 0 else "",
            figure(row.movement.balance_minor),
        ]
        return {"cells": cells, "strong": False}

    opening = strong(day_text(statement.from_on), "opening", "", "", figure(statement.opening_minor))
    top = opening if before is None else carried("brought_forward", before)
    if is_last:
        turnovers = (figure(statement.charged_minor), figure(statement.credited_minor))
        bottom = [
            strong("", "turnovers", *turnovers, ""),
            strong(day_text(statement.to_on), "closing", "", "", figure(statement.closing_minor)),
        ]
    else:
        bottom = [carried("carried_forward", rows[-1])]
    heights = [_HEAD_MM, _ROW_MM, *(row.height_mm for row in rows), *(_ROW_MM for _ in bottom)]
    return {
        "rows": [top, *(moved(row) for row in rows), *bottom],
        "heights_mm": heights,
        "note": note if is_last else None,
    }


def _common(statement: Statement, seller: Seller, language: Language, now: datetime) -> Data:
    account = Account.objects.filter(user_id=statement.user_id).first()
    currency, zone = statement.currency, statement.time_zone
    title = word("statement", language)
    unknown = {"label": word("customer", language), "name": "—", "lines": [str(statement.user_id)]}
    sides = (
        parties.seller_block(seller, language),
        parties.customer_block(account, language) if account else unknown,
    )
    days = (long_day_text(day, language) for day in (statement.from_on, statement.to_on))
    names = (f"{word(name, language)}, {currency}" for name in ("charged", "credited", "balance"))
    return {
        "language": language,
        "title": title,
        "subtitle": word("one_day" if statement.from_on == statement.to_on else "range", language, *days),
        "mark": currency,
        "footer": f"{seller.name(language)} · {title} · {statement.user_id}",
        "page_word": word("page", language),
        "of_word": word("of", language),
        "seller": sides[0],
        "customer": sides[1],
        "head": [word("date", language), word("document", language), *names],
        "columns_mm": list(_COLUMNS_MM),
        "heading_mm": _heading_mm(*sides),
        "note": word("statement_note", language, zone)
        + f" {word('made', language)} {day_text(day_in_zone(now, zone))}.",
    }


def _heading_mm(*sides: Data) -> float:
    """The height of title and parties; names are bold and so a little wider."""
    lines = (
        len(lines_of(side["name"], 0.88 * _PARTY_MM, _TEXT_POINTS))
        + sum(len(lines_of(line, _PARTY_MM, _TEXT_POINTS)) for line in side["lines"])
        for side in sides
    )
    return 24.0 + _LINE_MM * (1 + max(lines))
