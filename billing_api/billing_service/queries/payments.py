"""Payments as billing sees them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from billing_api.billing_service.models import Payment
from billing_api.billing_service.queries.shapes import moment, money


def payments() -> QuerySet[Payment]:
    """Everybody's, newest first; for a keyset over (created_at, id)."""
    return (
        Payment.objects.select_related("account")
        .prefetch_related("refund_rows")
        .order_by("-created_at", "-id")
    )


def payments_of(user_id: UUID) -> QuerySet[Payment]:
    """One user's, in the same order."""
    return payments().filter(account__user_id=user_id)


def payment_view(row: Payment) -> dict[str, Any]:
    """A payment with what became of its money: ``to_invoice`` and ``to_balance``."""
    return {
        "id": str(row.id),
        "invoice_id": str(row.invoice_id) if row.invoice_id else None,
        "status": row.status,
        "initiator": row.initiator,
        "amount": money(row.amount_minor, row.currency),
        "captured": money(row.captured_minor, row.currency),
        "refunded": money(row.refunded_minor, row.currency),
        "to_invoice": money(row.allocated_minor, row.currency),
        "to_balance": money(row.to_balance_minor, row.currency),
        "late": row.is_late,
        "decline": row.decline,
        "card_mask": row.card_mask or None,
        "refunds": [
            {
                "id": str(refund.id),
                "amount": money(refund.amount_minor, refund.currency),
                "reason": refund.reason,
                "created_at": moment(refund.succeeded_at),
            }
            for refund in sorted(row.refund_rows.all(), key=lambda one: one.id)
        ],
        "created_at": moment(row.created_at),
        "succeeded_at": moment(row.succeeded_at),
    }
