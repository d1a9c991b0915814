"""Credit notes as bodies."""

from __future__ import annotations

from typing import Any

from billing_api.billing_service.models import CreditNote
from billing_api.billing_service.queries.shapes import moment, money


def credit_note_view(row: CreditNote) -> dict[str, Any]:
    """CreditNoteView of the contracts."""
    currency = row.currency
    return {
        "id": str(row.id),
        "number": row.number,
        "invoice_id": str(row.invoice_id),
        "invoice_number": row.invoice.number,
        "total": money(row.total_minor, currency),
        "vat": money(row.vat_minor, currency),
        "reason": row.reason,
        "refund_id": str(row.refund_id) if row.refund_id else None,
        "lines": [
            {
                "invoice_line_id": str(line.invoice_line_id),
                "description": line.invoice_line.description,
                "amount": money(line.amount_minor, currency),
                "vat": money(line.vat_minor, currency),
                "vat_rate_bp": line.vat_rate_bp,
            }
            for line in sorted(row.lines.all(), key=lambda one: one.invoice_line.position)
        ],
        "issued_at": moment(row.issued_at),
    }
