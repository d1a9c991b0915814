"""Documents: figures add up, both languages, nothing of an erased person, nothing a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from billing_api.billing_service.documents.amount_in_words import roubles_in_words
from billing_api.billing_service.documents.seller import Seller
from shared.errors import AppError
from shared.money import Money
from tests.billing_api.commands.test_debts import debts, spent_twice_paid
from tests.billing_api.commands.test_proof import a_life
from tests.billing_api.commands.test_staff import said
from user_api.user_service.cancel_payment import REASON

SELLER = Seller(
    name_ru="ООО «Кинотеатр»",
    name_en="Cinema LLC",
    address_ru="123456, г. Москва, ул. Лесная, д. 5",
    address_en="5 Lesnaya St., Moscow, 123456, Russia",
    tax_number="7701234567",
    registration_reason_code="770101001",
    registration_number="1027700123456",
    bank_ru="Р/с 40702810900000000001 в ПАО «Банк», БИК 044525000",
    bank_en="Account 40702810900000000001 with Bank PJSC, BIC 044525000",
    email="billing@cinema.example",
    director_ru="И. И. Петров",
    director_en="I. I. Petrov",
    accountant_ru="А. С. Смирнова",
    accountant_en="A. S. Smirnova",
)


def text_of(document: bytes) -> str:
    """What a reader finds in a PDF, spaces and line ends as single spaces."""
    pages = PdfReader(io.BytesIO(document)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def _fonts(page: Any) -> list[str]:
    return [font.get_object()["/BaseFont"] for font in page["/Resources"]["/Font"].values()]


def keep(name: str, template: str, data: dict[str, Any], now: Any) -> None:
    """Pictures of the pages, for a person to look at, where DOCUMENT_PICTURES names a folder."""
    if folder := os.environ.get("DOCUMENT_PICTURES"):
        from billing_api.billing_service.documents.typesetting import set_png

        for number, picture in enumerate(set_png(template, data, now), start=1):
            (Path(folder) / f"{name}-{number}.png").write_bytes(picture)


def bought_with_everything(world) -> tuple[Any, Any]:
    """An invoice with a discount, a payment and a credit note."""
    from billing_api.billing_service.commands.adjust_charge import adjust_charge

    world.promo_code()
    anna = world.customer()
    started = world.buy(anna, promo_code="SPRING")
    world.pay(started, anna)
    adjust_charge(started.invoice_id, Money(-10000), **said(world))
    return anna, started


FIGURES = {
    "ru": ("449,10 ₽", "−49,90 ₽", "80,99 ₽", "22 %"),
    "en": ("RUB 449.10", "RUB −49.90", "RUB 80.99", "22%"),
}
SAID = {
    "ru": (
        *("Счёт № 2026-000001", "от 15 марта 2026 г.", "ОПЛАЧЕН", "Период: 15.03.2026 – 14.04.2026"),
        *("Четыреста сорок девять рублей 10 копеек", "Анна Иванова", "CN-2026-000001", "Подписка basic"),
        "ИНН 7701234567",
    ),
    "en": (
        *("Invoice 2026-000001", "of 15 March 2026", "PAID", "Period: 15.03.2026 – 14.04.2026"),
        *("INN 7701234567", "Cinema LLC", "Анна Иванова", "CN-2026-000001", "basic plan"),
    ),
}


@pytest.mark.parametrize("language", ["ru", "en"])
def test_an_invoice_on_paper(world, language: Any) -> None:
    from billing_api.billing_service.documents.invoice_document import invoice_document
    from billing_api.billing_service.documents.typesetting import set_pdf

    _, started = bought_with_everything(world)
    data = invoice_document(world.invoice(started.invoice_id), SELLER, language, world.now)
    keep(f"invoice-{language}", "invoice", data, world.now)
    document = set_pdf("invoice", data, world.now)
    assert document == set_pdf("invoice", data, world.now)
    text = text_of(document)
    for expected in (*FIGURES[language], *SAID[language]):
        assert expected in text, expected
    fonts = {str(font) for page in PdfReader(io.BytesIO(document)).pages for font in _fonts(page)}
    assert fonts
    assert all("PTSans" in font or "PTSerif" in font for font in fonts), fonts


@pytest.mark.parametrize("language", ["ru", "en"])
def test_a_credit_note_on_paper(world, language: Any) -> None:
    from billing_api.billing_service.documents.credit_note_document import credit_note_document
    from billing_api.billing_service.documents.typesetting import set_pdf
    from billing_api.billing_service.models import CreditNote

    bought_with_everything(world)
    data = credit_note_document(CreditNote.objects.get(), SELLER, language, world.now)
    keep(f"credit-note-{language}", "credit_note", data, world.now)
    text = text_of(set_pdf("credit_note", data, world.now))
    said_here = {
        "ru": (
            *("Кредит-нота № CN-2026-000001", "к счёту № 2026-000001 от 15 марта 2026 г.", "100,00 ₽"),
            *("в том числе НДС 22 % 18,03 ₽", "Уменьшение: Сто рублей 00 копеек.", "Основание:"),
        ),
        "en": (
            *("Credit note CN-2026-000001", "to invoice 2026-000001 of 15 March 2026", "RUB 100.00"),
            *("including VAT 22% RUB 18.03", "Reason:", "basic plan"),
        ),
    }
    for expected in (*said_here[language], "7701234567", "Анна Иванова"):
        assert expected in text, expected


def test_what_a_change_and_its_end_come_to_reads_in_words(world) -> None:
    """Days of a part of a period are told, and no reason that a service gave stands there as its code."""
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription
    from billing_api.billing_service.commands.change_product import change_product
    from billing_api.billing_service.documents.credit_note_document import credit_note_document
    from billing_api.billing_service.documents.invoice_document import invoice_document
    from billing_api.billing_service.models import CreditNote

    anna = world.customer()
    started = world.buy(anna)
    world.pay(started, anna)
    dear, _ = world.product("dear", 99900)
    world.pass_time(days=10)
    changed = change_product(started.subscription_id, product_id=dear, now=world.now)
    paid = world.payment(changed.invoice_id, anna.user_id)
    world.hear(paid)
    asked = world.refund(paid, 5000)
    asked.refunds[0] = asked.refunds[0].model_copy(update={"reason": REASON})
    world.hear(asked)
    cancel_subscription(started.subscription_id, mode="now", refund_unused=True, now=world.now)
    invoice = world.invoice(changed.invoice_id)
    assert [line["period"] for line in invoice_document(invoice, SELLER, "ru", world.now)["lines"]] == [
        "Период: 15.03.2026 – 14.04.2026, за 21 из 31 дн.",
    ] * 2
    notes = CreditNote.objects.filter(invoice=invoice).order_by("id")
    for language, reasons in (
        ("ru", ["возврат по обращению покупателя", "отказ покупателя от неиспользованных дней"]),
        ("en", ["refund asked for by the customer", "the customer gave up unused days"]),
    ):
        told = [credit_note_document(note, SELLER, language, world.now)["reason"] for note in notes]
        listed = invoice_document(invoice, SELLER, language, world.now)["credit_notes"]
        assert [one.split(": ")[1] for one in told] == [row["reason"] for row in listed] == reasons


def test_an_english_document_is_english_but_for_what_has_no_english_text(world) -> None:
    from billing_api.billing_service.documents.invoice_document import invoice_document
    from billing_api.billing_service.documents.typesetting import set_pdf

    _, started = bought_with_everything(world)

    def said_by(seller: Seller) -> str:
        data = invoice_document(world.invoice(started.invoice_id), seller, "en", world.now)
        return text_of(set_pdf("invoice", data, world.now)).replace("Анна Иванова", "")

    text = said_by(SELLER)
    assert re.findall("[А-Яа-яЁё]+", text) == []
    for expected in ("with Bank PJSC, BIC 044525000", "I. I. Petrov", "A. S. Smirnova"):
        assert expected in text, expected
    text = said_by(replace(SELLER, bank_en="", director_en="", name_en="", address_en=""))
    for expected in ("БИК 044525000", "И. И. Петров", "ООО «Кинотеатр»", "ул. Лесная", "A. S. Smirnova"):
        assert expected in text, expected


def test_a_bank_transfer_is_told_as_one_on_paper(world) -> None:
    from billing_api.billing_service.documents.invoice_document import invoice_document

    anna = world.customer()
    started = world.buy(anna)
    world.pay(started, anna, provider="bank_transfer")
    invoice = world.invoice(started.invoice_id)
    told = [invoice_document(invoice, SELLER, language, world.now)["payments"] for language in ("ru", "en")]  # type: ignore[arg-type]
    assert [one["text"] for (one,) in told] == ["Банковский перевод", "Bank transfer"]


DEBT = {
    "ru": (
        "Всего наименований 1, на сумму 499,00",
        "Четыреста девяносто девять рублей",
        "Долг лицевого счёта",
    ),
    "en": (
        "Debt of the personal account RUB 499.00",
        "Amount due RUB 499.00",
        "was refunded once spent",
        "sells nothing",
    ),
}


@pytest.mark.parametrize("language", ["ru", "en"])
def test_a_debt_on_paper_sells_nothing(world, language: Any) -> None:
    from billing_api.billing_service.documents.invoice_document import invoice_document
    from billing_api.billing_service.documents.typesetting import set_pdf

    _, again = spent_twice_paid(world)
    world.hear(world.refund(again, origin="provider"))
    (debt,) = debts()
    data = invoice_document(debt, SELLER, language, world.now)
    keep(f"debt-{language}", "invoice", data, world.now)
    text = text_of(set_pdf("invoice", data, world.now))
    for expected in DEBT[language]:
        assert expected in text, expected
    assert not re.search(r"\b(22 ?%|НДС 22|Total including)", text.replace("\u00a0", " "))


def test_an_invoice_of_many_lines_and_long_names(world) -> None:
    from billing_api.billing_service.documents.invoice_document import invoice_document
    from billing_api.billing_service.documents.typesetting import set_pdf

    anna = world.customer()
    started = world.buy(anna)
    data = invoice_document(world.invoice(started.invoice_id), SELLER, "ru", world.now)
    data["customer"]["name"] = "Общество с ограниченной ответственностью «" + "Длинное название " * 8 + "»"
    line = data["lines"][0]
    line["description"] = "Подписка «Кино, сериалы, спорт и детские каналы для всей семьи» " * 3 + "щ" * 80
    data["lines"] = [
        {**line, "position": str(n), "net": "−12\u00a0345\u00a0678,90", "list": "12\u00a0345\u00a0678,90"}
        for n in range(1, 61)
    ]
    keep("invoice-long", "invoice", data, world.now)
    pages = PdfReader(io.BytesIO(set_pdf("invoice", data, world.now))).pages
    assert len(pages) > 3
    runs = re.findall("щ+", pages[0].extract_text().replace("\u200b", ""))
    assert max(len(run) for run in runs) < 40  # a word without an end stays in its column
    for number, page in enumerate(pages, start=1):
        text = " ".join(page.extract_text().split())
        assert f"Страница {number} из {len(pages)}" in text
        assert number == len(pages) or "Наименование" in text  # the head of the table on every page of it


def test_a_free_invoice_on_paper(world) -> None:
    from billing_api.billing_service.documents.invoice_document import invoice_document

    world.promo_code("FREE", value=10_000)
    anna = world.customer()
    started = world.buy(anna, promo_code="FREE")
    for language in ("ru", "en"):
        data = invoice_document(world.invoice(started.invoice_id), SELLER, language, world.now)  # type: ignore[arg-type]
        keep(f"invoice-free-{language}", "invoice", data, world.now)
        sums = [one["amount"].replace("\u00a0", " ") for one in data["sums"]]
        assert sums[-1] == {"ru": "0,00 ₽", "en": "RUB 0.00"}[language]
    assert data["mark"] == "PAID"


def test_an_open_a_void_and_a_negative_invoice(world) -> None:
    from billing_api.billing_service.documents.invoice_document import invoice_document

    anna = world.customer()
    started = world.buy(anna)
    data = invoice_document(world.invoice(started.invoice_id), SELLER, "ru", world.now)
    assert (data["mark"], data["payments"], data["credit_notes"]) == ("К ОПЛАТЕ", [], [])
    assert "оплатить до" in data["subtitle"]
    assert data["sums"][-1]["amount"].replace("\u00a0", " ") == "499,00 ₽"
    row = world.invoice(started.invoice_id)
    row.total_minor, row.amount_due_minor = -5000, 0
    keep("invoice-negative", "invoice", invoice_document(row, SELLER, "ru", world.now), world.now)
    assert invoice_document(row, SELLER, "ru", world.now)["sums"][-1]["label"] == "Зачислено на лицевой счёт"
    row.status = "void"
    assert invoice_document(row, SELLER, "en", world.now)["mark"] == "VOID"


def test_nothing_of_an_erased_person_is_left_on_paper(world) -> None:
    from billing_api.billing_service.documents.invoice_document import invoice_document
    from billing_api.billing_service.documents.typesetting import set_pdf
    from billing_api.billing_service.models import Customer

    anna, started = bought_with_everything(world)
    Customer.objects.filter(account__user_id=anna.user_id).delete()
    data = invoice_document(world.invoice(started.invoice_id), SELLER, "ru", world.now)
    keep("invoice-erased", "invoice", data, world.now)
    text = text_of(set_pdf("invoice", data, world.now))
    assert "удалено / erased" in text
    assert "Анна" not in text
    assert "@example.org" not in text


@pytest.mark.parametrize("language", ["ru", "en"])
def test_a_statement_on_paper(world, language: Any) -> None:
    from billing_api.billing_service.documents import statement_document as documents
    from billing_api.billing_service.statement import make_statement

    anna, _ = a_life(world)
    made = make_statement(anna.user_id, date(2026, 3, 1), date(2026, 5, 1))
    _, (data,) = documents.statement_parts(made, SELLER, language, world.now)
    keep(f"statement-{language}", "statement", data, world.now)
    made = make_statement(anna.user_id, date(2026, 3, 1), date(2026, 5, 1))
    text = text_of(b"".join(documents.statement_pdf(made, SELLER, language, world.now)))
    day = date(2026, 3, 15)
    _, (data,) = documents.statement_parts(
        make_statement(anna.user_id, day, day), SELLER, language, world.now
    )
    assert data["subtitle"] == {"ru": "за 15 марта 2026\u00a0г.", "en": "for 15 March 2026"}[language]
    for expected in (
        (
            "Выписка по лицевому счёту",
            "с 1 марта 2026 г. по 1 мая 2026 г.",
            "Счёт 2026-000001",
            "Обороты за период 998,10 998,10",
            "−449,10",
            "Страница 1 из 1",
        )
        if language == "ru"
        else (
            "Account statement",
            "from 1 March 2026 to 1 May 2026",
            "Invoice 2026-000001",
            "Turnover of the period 998.10 998.10",
            "−449.10",
            "Page 1 of 1",
        )
    ):
        assert expected in text, expected


def test_text_that_looks_like_commands_stays_text(world) -> None:
    from billing_api.billing_service.documents.invoice_document import invoice_document
    from billing_api.billing_service.documents.typesetting import set_pdf

    _, started = bought_with_everything(world)
    data = invoice_document(world.invoice(started.invoice_id), SELLER, "ru", world.now)
    data["customer"]["name"] = '#panic() *x* $1$ #read("page.typ") <b>'
    # Letters without a glyph are refused by PDF/A; whoever is called so has a document all the same.
    data["customer"]["lines"] = ["Nguyễn 張 😀 محمد e\u0301\u0323", "a\u202eb\x07c\nd ё ₽"]
    text = text_of(set_pdf("invoice", data, world.now))
    assert "#panic() *x* $1$ #read" in text
    assert "Nguyen ? ? ????" in text
    assert "abc d ё ₽" in text


def test_a_template_that_warns_is_not_a_document(world, tmp_path: Path, monkeypatch: Any) -> None:
    from billing_api.billing_service.documents import typesetting

    (tmp_path / "odd.typ").write_text('#set text(font: "No Such Font")\nx')
    (tmp_path / "bad.typ").write_text("#panic()")
    monkeypatch.setattr(typesetting, "TEMPLATES", tmp_path)
    for template in ("odd", "bad"):
        with pytest.raises(AppError, match="document-not-set"):
            typesetting.set_pdf(template, {}, world.now)


def read_csv(content: bytes, delimiter: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=delimiter))


def test_a_statement_as_csv(world) -> None:
    from billing_api.billing_service.documents.statement_csv import statement_csv
    from billing_api.billing_service.statement import make_statement

    anna, _ = a_life(world)
    tables = {}
    for language, delimiter in (("ru", ";"), ("en", ",")):
        made = make_statement(anna.user_id, date(2026, 3, 1), date(2026, 5, 1))
        tables[language] = read_csv(b"".join(statement_csv(made, language)), delimiter)  # type: ignore[arg-type]
    russian, english = tables["ru"], tables["en"]
    assert russian[0][:4] == ["Дата", "Вид документа", "Номер документа", "Описание"]
    assert english[0][4:] == ["Charged", "Credited", "Balance", "Currency"]
    assert russian[2] == [
        "2026-03-15",
        "Счёт",
        "2026-000001",
        "Счёт 2026-000001",
        "449,10",
        "",
        "-449,10",
        "RUB",
    ]
    assert english[3][4:] == ["", "449.10", "0.00", "RUB"]
    assert len(english) == 1 + 1 + 7 + 1
    assert english[-1] == ["2026-05-01", "", "", "Closing balance", "998.10", "998.10", "0.00", "RUB"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "  =", "＝", "－1"])
def test_no_cell_is_a_formula(billing_database, start: str) -> None:
    from billing_api.billing_service.documents.statement_csv import harmless

    assert harmless(start + "1+1").startswith("'")
    assert harmless("Счёт 1=1") == "Счёт 1=1"


def test_a_reason_that_is_a_formula_reaches_the_spreadsheet_as_text(world) -> None:
    from billing_api.billing_service import statement
    from billing_api.billing_service.commands.grant_goodwill import grant_goodwill
    from billing_api.billing_service.documents.statement_csv import statement_csv

    anna = world.customer()
    world.buy(anna)
    grant_goodwill(anna.user_id, Money(100), **{**said(world), "reason": '=HYPERLINK("x")'})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(statement, "_TEXTS", {"adjustment": ("{}", "{}")})
        made = statement.make_statement(anna.user_id, date(2026, 3, 1), date(2026, 5, 1))
        rows = read_csv(b"".join(statement_csv(made, "ru")), ";")
    assert rows[3][3] == '\'=HYPERLINK("x")'


@pytest.mark.parametrize(
    ("amount_minor", "words"),
    [
        (0, "Ноль рублей 00 копеек"),
        (101, "Один рубль 01 копейка"),
        (222, "Два рубля 22 копейки"),
        (1_111, "Одиннадцать рублей 11 копеек"),
        (49_900, "Четыреста девяносто девять рублей 00 копеек"),
        (2_100_014, "Двадцать одна тысяча рублей 14 копеек"),
        (200_200_005, "Два миллиона две тысячи рублей 05 копеек"),
        (111_500_000_000, "Один миллиард сто пятнадцать миллионов рублей 00 копеек"),
        (10**13, "Сто миллиардов рублей 00 копеек"),
    ],
)
def test_amounts_in_words(amount_minor: int, words: str) -> None:
    assert roubles_in_words(amount_minor) == words


def test_what_is_posted_while_a_statement_is_read_is_not_in_it(world, monkeypatch: Any) -> None:
    from billing_api.billing_service import statement

    anna, _ = a_life(world)
    monkeypatch.setattr(statement, "_PAGE", 2)
    made = statement.make_statement(anna.user_id, date(2026, 3, 1), date(2026, 5, 1))
    read = [next(made.movements)]
    world.pay(world.buy(anna, world.film), anna)
    read += made.movements
    assert len(read) == made.count == 7
    assert made.opening_minor + sum(one.amount_minor for one in read) == made.closing_minor
    assert read[-1].balance_minor == made.closing_minor
    again = statement.make_statement(anna.user_id, date(2026, 3, 1), date(2026, 5, 1) + timedelta(days=1))
    assert again.count == 9
