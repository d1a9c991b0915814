"""A statement of many pages: every movement once, sums carried from page to page, one valid PDF."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pypdf import PdfReader

from tests.billing_api.proofs.test_documents import SELLER

USER = UUID(int=7)
NOW = datetime(2026, 12, 31, tzinfo=UTC)
REASON = "Корректировка: " + "по решению руководителя службы поддержки " * 6 + "Щ" * 90


def statement(count: int) -> Any:
    """Invoices and payments in turn; now and then one with a text of many lines."""
    from billing_api.billing_service.statement import Movement, Statement

    def movements() -> Iterator[Movement]:
        balance = 0
        for number in range(count):
            amount = 49_901 if number % 2 else -49_900
            balance += amount
            text = REASON if number % 50 == 7 else f"Документ {number:06d}"
            at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
            yield Movement(at, "invoice", USER, None, text, text, amount, balance)

    charged = sum(49_900 for number in range(count) if number % 2 == 0)
    credited = sum(49_901 for number in range(count) if number % 2)
    first, last = date(2026, 1, 1), date(2026, 12, 31)
    return Statement(
        USER, "RUB", "Europe/Moscow", first, last, 0, charged, credited, count, movements(), movements
    )


def pages_of(count: int) -> list[str]:
    from billing_api.billing_service.documents.statement_document import statement_pdf

    document = b"".join(statement_pdf(statement(count), SELLER, "ru", NOW))
    assert document == b"".join(statement_pdf(statement(count), SELLER, "ru", NOW))
    reader = PdfReader(io.BytesIO(document), strict=True)
    assert reader.xmp_metadata is not None
    assert f"<xmpTPg:NPages>{len(reader.pages)}<".encode() in reader.root_object["/Metadata"].get_data()
    assert "/OutputIntents" in reader.root_object
    return [page.extract_text().replace("\u00a0", " ") for page in reader.pages]


@pytest.mark.usefixtures("billing")
def test_every_movement_is_on_paper_once_and_sums_are_carried() -> None:
    pages = pages_of(700)
    assert len(pages) > 16  # more than are set at once
    for number, page in enumerate(pages, start=1):
        assert f"Страница {number} из {len(pages)}" in page
    told = [found for page in pages for found in re.findall(r"Документ (\d{6})", page)]
    assert told == [f"{number:06d}" for number in range(700) if number % 50 != 7]
    assert sum(page.count("Корректировка:") for page in pages) == 14
    figures = r" ([\d ]+,\d\d) ([\d ]+,\d\d) (−?[\d ]+,\d\d)"
    for before, after in itertools.pairwise(pages):
        forward = re.search("Переносится на следующую страницу" + figures, before.replace("\n", " "))
        brought = re.search("Перенос с предыдущей страницы" + figures, after.replace("\n", " "))
        assert forward is not None
        assert brought is not None
        assert forward.groups() == brought.groups()
    assert "Входящий остаток" in pages[0]
    assert "174 650,00" in pages[-1]  # 350 × 499.00 charged
    assert "174 653,50" in pages[-1]
    assert not any("Исходящий остаток" in page for page in pages[:-1])


@pytest.mark.usefixtures("billing")
@pytest.mark.parametrize("count", range(0, 80, 1))
def test_wherever_the_last_page_ends_the_closing_rows_fit(count: int) -> None:
    """As many pages as were counted; typst would have broken one that is too full."""
    from billing_api.billing_service.documents.statement_document import statement_parts
    from billing_api.billing_service.documents.typesetting import set_pdf

    page_count, parts = statement_parts(statement(count), SELLER, "ru", NOW)
    made = sum(len(PdfReader(io.BytesIO(set_pdf("statement", data, NOW))).pages) for data in parts)
    assert made == page_count


def test_lines_fit_their_room() -> None:
    from billing_api.billing_service.documents.letters import lines_of, width_mm

    for text in (REASON, "", "слово", "Щ" * 500, "Оплата картой 4242 42** **** 4242", "日本" * 40):
        lines = lines_of(text, 60.0, 9.2)
        assert "".join("".join(lines).split()) == "".join(text.split())
        assert all(width_mm(line, 9.2) <= 60.0 for line in lines)
