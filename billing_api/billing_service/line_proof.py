"""Works every invoice line and amount due out again from the stored inputs, and names what differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from billing_api.billing_service.domain import explanation
from billing_api.billing_service.models import Invoice, InvoiceLine

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class BrokenExplanation:
    """A document whose stored figure does not follow; ``position`` 0 is the invoice's amount due."""

    invoice: str
    position: int
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.invoice} line {self.position}: {self.reason}"
            if self.position
            else (f"{self.invoice} amount due: {self.reason}")
        )


@dataclass(frozen=True, slots=True)
class ProvenLine:
    """A line and what follows from its inputs; ``fault`` says why it does not, None when it does.

    ``follows`` is None when the stored steps contradict themselves or cannot be read.
    """

    line: InvoiceLine
    follows: explanation.Recomputed | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class ProvenInvoice:
    """``due_minor``: what was to be paid when it was issued, None when the lines or steps do not give it."""

    invoice: Invoice
    lines: tuple[ProvenLine, ...]
    due_minor: int | None
    due_fault: str | None

    @property
    def asked_minor(self) -> int:
        """What the stored figures say was to be paid when it was issued."""
        return max(0, self.invoice.total_minor) - self.invoice.balance_applied_minor

    @property
    def agrees(self) -> bool:
        return self.due_fault is None and all(one.fault is None for one in self.lines)

    def broken(self) -> Iterator[BrokenExplanation]:
        """Every line that does not follow; the amount due too, unless a line already spoils it."""
        for one in self.lines:
            if one.fault is not None:
                yield BrokenExplanation(str(self.invoice), one.line.position, one.fault)
        if self.due_fault is not None and all(one.fault is None for one in self.lines):
            yield BrokenExplanation(str(self.invoice), 0, self.due_fault)


@dataclass(slots=True)
class LineProof:
    """Counts while ``broken`` is consumed."""

    invoices: int = 0
    lines: int = 0

    def broken(self) -> Iterator[BrokenExplanation]:
        """Every line or amount due that does not follow from its inputs, in the order of invoices."""
        rows = Invoice.objects.prefetch_related("lines").order_by("id")
        for invoice in rows.iterator(chunk_size=_PAGE):
            proven = prove_invoice(invoice)
            self.invoices += 1
            self.lines += len(proven.lines)
            yield from proven.broken()


def prove_invoice(invoice: Invoice) -> ProvenInvoice:
    """One invoice, its lines in their order, worked out again from the stored steps."""
    lines = tuple(prove_line(line) for line in sorted(invoice.lines.all(), key=lambda one: one.position))
    follows = [one.follows for one in lines if one.follows is not None and one.fault is None]
    if len(follows) < len(lines):
        return ProvenInvoice(invoice, lines, None, "a line it is made of does not follow")
    try:
        due_minor = explanation.recompute_due(invoice.steps, follows)
    except explanation.ExplanationMismatch as error:
        return ProvenInvoice(invoice, lines, None, str(error))
    except (LookupError, TypeError, ValueError) as error:
        return ProvenInvoice(invoice, lines, None, _unreadable(error))
    proven = ProvenInvoice(invoice, lines, due_minor, None)
    if due_minor == proven.asked_minor:
        return proven
    fault = f"{proven.asked_minor} was asked for, {due_minor} follows"
    return ProvenInvoice(invoice, lines, due_minor, fault)


def prove_line(line: InvoiceLine) -> ProvenLine:
    """One line worked out again from its stored steps."""
    try:
        follows = explanation.recompute(line.steps)
    except explanation.ExplanationMismatch as error:
        return ProvenLine(line, None, str(error))
    except (LookupError, TypeError, ValueError) as error:
        return ProvenLine(line, None, _unreadable(error))
    return ProvenLine(line, follows, _difference(line, follows))


def _difference(line: InvoiceLine, figures: explanation.Recomputed) -> str | None:
    stored = (line.list_minor, line.discount_minor, line.net_minor, line.vat_minor)
    follows = (figures.list_minor, figures.discount_minor, figures.amount_minor, figures.vat_minor)
    if stored != follows:
        return f"{stored} is stored, {follows} follows"
    if line.vat_rate_bp != line.steps[-1]["rate_bp"]:
        return f"a VAT rate of {line.vat_rate_bp} is stored, {line.steps[-1]['rate_bp']} follows"
    return None


def _unreadable(error: Exception) -> str:
    return f"the stored steps cannot be read ({type(error).__name__})"
