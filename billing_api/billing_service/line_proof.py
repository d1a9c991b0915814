"""Works every invoice line and every amount due out again from the stored inputs, and names what differs."""

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


@dataclass(slots=True)
class LineProof:
    """Counts while ``broken`` is consumed."""

    invoices: int = 0
    lines: int = 0

    def broken(self) -> Iterator[BrokenExplanation]:
        """Every line or amount due that does not follow from its inputs, in the order of invoices."""
        rows = Invoice.objects.prefetch_related("lines").order_by("id")
        for invoice in rows.iterator(chunk_size=_PAGE):
            self.invoices += 1
            recomputed = []
            for line in sorted(invoice.lines.all(), key=lambda one: one.position):
                self.lines += 1
                figures = _recomputed(line)
                if isinstance(figures, str):
                    yield BrokenExplanation(str(invoice), line.position, figures)
                else:
                    recomputed.append(figures)
            if len(recomputed) == len(invoice.lines.all()) and (fault := _fault_of_due(invoice, recomputed)):
                yield BrokenExplanation(str(invoice), 0, fault)


def _recomputed(line: InvoiceLine) -> explanation.Recomputed | str:
    try:
        figures = explanation.recompute(line.steps)
    except explanation.ExplanationMismatch as error:
        return str(error)
    except (LookupError, TypeError, ValueError) as error:
        return f"the stored steps cannot be read ({type(error).__name__})"
    stored = (line.list_minor, line.discount_minor, line.net_minor, line.vat_minor)
    follows = (figures.list_minor, figures.discount_minor, figures.amount_minor, figures.vat_minor)
    if stored != follows:
        return f"{stored} is stored, {follows} follows"
    if line.vat_rate_bp != line.steps[-1]["rate_bp"]:
        return f"a VAT rate of {line.vat_rate_bp} is stored, {line.steps[-1]['rate_bp']} follows"
    return figures


def _fault_of_due(invoice: Invoice, lines: list[explanation.Recomputed]) -> str | None:
    try:
        due_minor = explanation.recompute_due(invoice.steps, lines)
    except explanation.ExplanationMismatch as error:
        return str(error)
    except (LookupError, TypeError, ValueError) as error:
        return f"the stored steps cannot be read ({type(error).__name__})"
    asked_minor = max(0, invoice.total_minor) - invoice.balance_applied_minor
    return None if due_minor == asked_minor else f"{asked_minor} was asked for, {due_minor} follows"
