"""Invoices: the states of the document and of its collection, totals, and how a credit note is split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.errors import conflict, invalid
from shared.money import allocate, vat_included


class Document(StrEnum):
    """State of the document; an issued one never changes but for this."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class Collection(StrEnum):
    """How the collection of an open invoice stands; apart from the document."""

    NONE = "none"
    PROCESSING = "processing"
    ACTION_REQUIRED = "action_required"
    FAILED = "failed"
    PARTIALLY_PAID = "partially_paid"
    OVERDUE = "overdue"


# Money may still come for an invoice that was given up; void and paid are final (corrections: credit notes).
DOCUMENT_TRANSITIONS: Final[dict[Document, frozenset[Document]]] = {
    Document.DRAFT: frozenset({Document.OPEN, Document.VOID}),
    Document.OPEN: frozenset({Document.PAID, Document.VOID, Document.UNCOLLECTIBLE}),
    Document.UNCOLLECTIBLE: frozenset({Document.PAID, Document.VOID}),
    Document.PAID: frozenset(),
    Document.VOID: frozenset(),
}

COLLECTION_TRANSITIONS: Final[dict[Collection, frozenset[Collection]]] = {
    Collection.NONE: frozenset(
        {
            Collection.PROCESSING,
            Collection.ACTION_REQUIRED,
            Collection.FAILED,
            Collection.PARTIALLY_PAID,
            Collection.OVERDUE,
        }
    ),
    Collection.PROCESSING: frozenset(
        {Collection.NONE, Collection.ACTION_REQUIRED, Collection.FAILED, Collection.PARTIALLY_PAID}
    ),
    Collection.ACTION_REQUIRED: frozenset(
        {Collection.NONE, Collection.PROCESSING, Collection.FAILED, Collection.PARTIALLY_PAID}
    ),
    Collection.FAILED: frozenset(
        {
            Collection.NONE,
            Collection.PROCESSING,
            Collection.ACTION_REQUIRED,
            Collection.PARTIALLY_PAID,
            Collection.OVERDUE,
        }
    ),
    Collection.PARTIALLY_PAID: frozenset(
        {
            Collection.NONE,
            Collection.PROCESSING,
            Collection.ACTION_REQUIRED,
            Collection.FAILED,
            Collection.OVERDUE,
        }
    ),
    Collection.OVERDUE: frozenset(
        {
            Collection.NONE,
            Collection.PROCESSING,
            Collection.ACTION_REQUIRED,
            Collection.FAILED,
            Collection.PARTIALLY_PAID,
        }
    ),
}


def move_document(current: Document, target: Document) -> Document:
    """``target`` if the document may go there; the same state again is no move and allowed.

    Raises conflict ``invoice-transition-refused``.
    """
    if target is not current and target not in DOCUMENT_TRANSITIONS[current]:
        raise conflict(
            "invoice-transition-refused",
            f"An invoice that is {current.value} cannot become {target.value}.",
            status=current.value,
            target=target.value,
        )
    return target


def move_collection(document: Document, current: Collection, target: Collection) -> Collection:
    """``target`` if collection may go there; only an open or uncollectible invoice is collected.

    Raises conflict ``invoice-transition-refused``.
    """
    if target is current:
        return target
    collectable = document in (Document.OPEN, Document.UNCOLLECTIBLE) or target is Collection.NONE
    if not collectable or target not in COLLECTION_TRANSITIONS[current]:
        raise conflict(
            "invoice-transition-refused",
            f"Collection that is {current.value} cannot become {target.value} on a {document.value} invoice.",
            status=current.value,
            target=target.value,
        )
    return target


@dataclass(frozen=True, slots=True)
class Line:
    """An issued line and what was credited of it so far; minor units, VAT included in ``amount_minor``.

    ``amount_minor`` is negative for the credit line of a change of product; then so are the others.
    """

    key: str
    amount_minor: int
    vat_rate_bp: int
    vat_minor: int
    credited_minor: int = 0
    vat_credited_minor: int = 0

    @property
    def left_minor(self) -> int:
        return self.amount_minor - self.credited_minor


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of rounded lines, minor units."""

    total_minor: int
    vat_minor: int
    credited_minor: int

    @property
    def net_minor(self) -> int:
        return self.total_minor - self.vat_minor


@dataclass(frozen=True, slots=True)
class CreditLine:
    """The part of one line that a credit note takes back, VAT included, minor units."""

    key: str
    amount_minor: int
    vat_rate_bp: int
    vat_minor: int


def totals(lines: Iterable[Line]) -> Totals:
    """Totals of an invoice: sums of its rounded lines, never a percentage of a sum."""
    kept = list(lines)
    return Totals(
        sum(line.amount_minor for line in kept),
        sum(line.vat_minor for line in kept),
        sum(line.credited_minor for line in kept),
    )


def amount_left_minor(total_minor: int, *, paid_minor: int, credited_minor: int) -> int:
    """What is still to be paid of an invoice, never below zero."""
    return max(0, total_minor - paid_minor - credited_minor)


def credit_lines(lines: Sequence[Line], amount_minor: int) -> tuple[CreditLine, ...]:
    """Split a credit note over the lines by what is left of each (largest remainder), VAT following.

    The VAT of a line's credits is the VAT inside their running sum less what was credited before, so that a
    line credited in any number of parts gives back exactly its own VAT. A credit of all that is left takes
    every line whole, credit lines included; a partial one is taken from the positive lines.
    Raises invalid ``amount-not-positive``, conflict ``credit-exceeds-invoice``.
    """
    if amount_minor <= 0:
        raise invalid("amount-not-positive", "The amount must be greater than zero.")
    left = sum(line.left_minor for line in lines)
    if amount_minor > left:
        raise conflict(
            "credit-exceeds-invoice",
            "Credit notes together cannot exceed their invoice.",
            amount_left_minor=left,
        )
    if amount_minor == left:
        parts = [line.left_minor for line in lines]
    else:
        parts = allocate(amount_minor, [max(0, line.left_minor) for line in lines])
    return tuple(credit_of(line, part) for line, part in zip(lines, parts, strict=True) if part)


def credit_of(line: Line, part_minor: int) -> CreditLine:
    """Credit ``part_minor`` of one line, not beyond what is left of it.

    Raises conflict ``credit-exceeds-invoice``.
    """
    if abs(part_minor) > abs(line.left_minor) or part_minor * line.left_minor < 0:
        raise conflict("credit-exceeds-invoice", "More is credited than is left of the line.", line=line.key)
    after = line.credited_minor + part_minor
    # The whole line gives back its stored VAT, whatever rounding once made of it.
    vat_after = line.vat_minor if after == line.amount_minor else vat_included(after, line.vat_rate_bp)
    return CreditLine(line.key, part_minor, line.vat_rate_bp, vat_after - line.vat_credited_minor)
