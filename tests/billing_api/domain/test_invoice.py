"""Invoices: both state tables cell by cell, totals, and credit notes whose parts add up."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_api.billing_service.domain.invoice import (
    COLLECTION_TRANSITIONS,
    Collection,
    CreditLine,
    Document,
    Line,
    amount_left_minor,
    credit_lines,
    move_collection,
    move_document,
    totals,
)
from shared.errors import AppError
from shared.money import vat_included

DOCUMENT_MOVES = {
    ("draft", "open"), ("draft", "void"), ("open", "paid"), ("open", "void"), ("open", "uncollectible"),
    ("uncollectible", "paid"), ("uncollectible", "void"),
}  # fmt: skip


def line(key: str, amount: int, rate_bp: int = 2_200) -> Line:
    return Line(key, amount, rate_bp, vat_included(amount, rate_bp))


def credited(lines: list[Line], note: tuple[CreditLine, ...]) -> list[Line]:
    parts = {one.key: one for one in note}
    return [
        Line(
            one.key,
            one.amount_minor,
            one.vat_rate_bp,
            one.vat_minor,
            one.credited_minor + (parts[one.key].amount_minor if one.key in parts else 0),
            one.vat_credited_minor + (parts[one.key].vat_minor if one.key in parts else 0),
        )
        for one in lines
    ]


@pytest.mark.parametrize(("current", "target"), list(product(Document, Document)))
def test_every_cell_of_the_document_table(current: Document, target: Document) -> None:
    if current is target or (current.value, target.value) in DOCUMENT_MOVES:
        assert move_document(current, target) is target
    else:
        with pytest.raises(AppError, match="invoice-transition-refused"):
            move_document(current, target)


@pytest.mark.parametrize(("current", "target"), list(product(Collection, Collection)))
def test_every_cell_of_the_collection_table(current: Collection, target: Collection) -> None:
    refused = current in (Collection.PROCESSING, Collection.ACTION_REQUIRED) and target is Collection.OVERDUE
    if refused:  # an attempt in flight ends before the invoice can be called overdue
        with pytest.raises(AppError, match="invoice-transition-refused"):
            move_collection(Document.OPEN, current, target)
    else:
        assert move_collection(Document.OPEN, current, target) is target
    assert set(COLLECTION_TRANSITIONS) == set(Collection)


@pytest.mark.parametrize("document", [Document.DRAFT, Document.PAID, Document.VOID])
def test_only_an_open_or_uncollectible_invoice_is_collected(document: Document) -> None:
    with pytest.raises(AppError, match="invoice-transition-refused"):
        move_collection(document, Collection.NONE, Collection.PROCESSING)
    assert move_collection(document, Collection.PROCESSING, Collection.NONE) is Collection.NONE
    assert move_collection(Document.UNCOLLECTIBLE, Collection.NONE, Collection.PROCESSING)


def test_totals_are_sums_of_rounded_lines() -> None:
    lines = [line("a", 3), line("b", 3), line("c", 3)]
    assert (totals(lines).total_minor, totals(lines).vat_minor, totals(lines).net_minor) == (9, 3, 6)
    assert vat_included(9, 2_200) == 2  # a percentage of the sum would differ


def test_what_is_left_to_pay() -> None:
    assert amount_left_minor(100, paid_minor=30, credited_minor=20) == 50
    assert amount_left_minor(100, paid_minor=100, credited_minor=20) == 0


def test_credit_over_every_split_of_small_invoices_adds_up_exactly() -> None:
    for first in range(1, 25):
        for second in range(1, 25):
            lines = [line("a", first), line("b", second)]
            for amount in range(1, first + second + 1):
                note = credit_lines(lines, amount)
                after = credited(lines, note)
                assert sum(one.amount_minor for one in note) == amount
                for one in after:
                    assert 0 <= one.credited_minor <= one.amount_minor
                    assert 0 <= one.vat_credited_minor <= one.vat_minor


def test_crediting_in_any_two_parts_gives_back_exactly_the_vat() -> None:
    for total in range(1, 600):
        lines = [line("a", total, 2_000)]
        for part in range(1, total, max(1, total // 7)):
            after = credited(lines, credit_lines(lines, part))
            after = credited(after, credit_lines(after, total - part))
            assert (after[0].credited_minor, after[0].vat_credited_minor) == (total, lines[0].vat_minor)


def test_the_remainder_goes_to_the_largest_fraction() -> None:
    note = credit_lines([line("a", 100), line("b", 100), line("c", 100)], 100)
    assert [one.amount_minor for one in note] == [34, 33, 33]


def test_a_line_credited_before_takes_less_of_the_next_credit() -> None:
    lines = [Line("a", 100, 2_200, 18, credited_minor=100, vat_credited_minor=18), line("b", 100)]
    assert [(one.key, one.amount_minor) for one in credit_lines(lines, 50)] == [("b", 50)]


def test_a_change_invoice_is_credited_whole_with_its_credit_line() -> None:
    lines = [line("charge", 39_950), line("credit", -24_950)]
    part = credited(lines, credit_lines(lines, 5_000))
    assert [one.credited_minor for one in part] == [5_000, 0]
    rest = credited(part, credit_lines(part, 10_000))
    assert [one.left_minor for one in rest] == [0, 0]
    assert [one.vat_credited_minor for one in rest] == [one.vat_minor for one in lines]


def test_credits_beyond_the_invoice_and_of_nothing_are_refused() -> None:
    lines = [line("a", 100)]
    with pytest.raises(AppError, match="credit-exceeds-invoice"):
        credit_lines(lines, 101)
    with pytest.raises(AppError, match="credit-exceeds-invoice"):
        credit_lines(credited(lines, credit_lines(lines, 60)), 41)
    for amount in (0, -1):
        with pytest.raises(AppError, match="amount-not-positive"):
            credit_lines(lines, amount)


@given(
    st.lists(st.integers(1, 100_000), min_size=1, max_size=8), st.lists(st.integers(1, 50_000), max_size=6)
)
def test_any_run_of_credits_ends_with_the_whole_invoice(amounts: list[int], credits: list[int]) -> None:
    lines = [line(str(number), amount) for number, amount in enumerate(amounts)]
    original = totals(lines)
    for wanted in [*credits, original.total_minor]:
        left = original.total_minor - totals(lines).credited_minor
        if left:
            lines = credited(lines, credit_lines(lines, min(wanted, left)))
    assert totals(lines).credited_minor == original.total_minor
    assert sum(one.vat_credited_minor for one in lines) == original.vat_minor
