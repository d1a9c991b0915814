"""The proof of an invoice as a body: the stored figures, the same worked out anew, whether they agree."""

from __future__ import annotations

from typing import Any

from billing_api.billing_service.domain.explanation import Recomputed
from billing_api.billing_service.explanation_texts import explanation, verdict
from billing_api.billing_service.line_proof import ProvenInvoice, ProvenLine, prove_invoice
from billing_api.billing_service.models import Invoice, InvoiceLine
from billing_api.billing_service.queries.shapes import money
from billing_api.billing_service.wording import LANGUAGES


def invoice_proof_view(row: Invoice) -> dict[str, Any]:
    """ProofView of the contracts for an invoice with its lines."""
    proven = prove_invoice(row)
    return {
        "invoice_id": str(row.id),
        "number": row.number,
        "agrees": proven.agrees,
        "lines": [_line(one, row.currency) for one in proven.lines],
        "amount_due_at_issue": _due(proven),
    }


def _line(one: ProvenLine, currency: str) -> dict[str, Any]:
    line, follows = one.line, one.follows
    return {
        "line_id": str(line.id),
        "position": line.position,
        "description": line.description,
        "agrees": one.fault is None,
        "stored": _stored(line, currency),
        "recomputed": _recomputed(line, follows, currency) if follows else None,
        "fault": one.fault,
        **_told(one.fault is None, line.net_minor, currency, line.steps),
    }


def _stored(line: InvoiceLine, currency: str) -> dict[str, Any]:
    return {
        "list_amount": money(line.list_minor, currency),
        "discount": money(line.discount_minor, currency),
        "net": money(line.net_minor, currency),
        "vat": money(line.vat_minor, currency),
        "vat_rate_bp": line.vat_rate_bp,
    }


def _recomputed(line: InvoiceLine, figures: Recomputed, currency: str) -> dict[str, Any]:
    return {
        "list_amount": money(figures.list_minor, currency),
        "discount": money(figures.discount_minor, currency),
        "net": money(figures.amount_minor, currency),
        "vat": money(figures.vat_minor, currency),
        "vat_rate_bp": line.steps[-1]["rate_bp"],
    }


def _due(proven: ProvenInvoice) -> dict[str, Any]:
    row, follows = proven.invoice, proven.due_minor
    return {
        "agrees": proven.due_fault is None,
        "stored": money(proven.asked_minor, row.currency),
        "recomputed": money(follows, row.currency) if follows is not None else None,
        "fault": proven.due_fault,
        **_told(proven.due_fault is None, proven.asked_minor, row.currency, row.steps),
    }


def _told(agrees: bool, stored_minor: int, currency: str, steps: Any) -> dict[str, Any]:
    """The steps with their sentences and the verdict; steps too broken to be told have no sentences."""
    try:
        sentences = explanation(steps, currency)
    except (AttributeError, LookupError, TypeError, ValueError):
        sentences = {language: [] for language in LANGUAGES}
    return {
        "verdict": {language: verdict(agrees, stored_minor, currency, language) for language in LANGUAGES},
        "steps": steps,
        "explanation": sentences,
    }
