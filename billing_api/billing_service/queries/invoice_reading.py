"""One issued invoice as a body, by one statement: the read that clients repeat most."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from billing_api.billing_service.database import Query, together
from billing_api.billing_service.queries.documents import Told, invoice_body, told
from shared.errors import not_found


class InvoiceRow(NamedTuple):
    """The columns of ``Invoice`` that its body shows; ids as text."""

    id: str
    number: str | None
    user_id: str
    subscription_id: str | None
    kind: str
    status: str
    collection: str
    currency: str
    total_minor: int
    vat_minor: int
    balance_applied_minor: int
    paid_minor: int
    credited_minor: int
    amount_due_minor: int
    steps: Any
    reason: str
    issued_at: datetime
    due_at: datetime
    paid_at: datetime | None


class LineRow(NamedTuple):
    """The columns of ``InvoiceLine`` that a body shows; ids as text."""

    id: str
    kind: str
    description: Any
    product_id: str | None
    price_id: str | None
    quantity: int
    list_minor: int
    discount_minor: int
    net_minor: int
    vat_minor: int
    vat_rate_bp: int
    period_start_on: date | None
    period_end_on: date | None
    steps: Any


_OF_INVOICE: Final = len(InvoiceRow._fields)
# A row per line, each with the invoice's columns: one or two lines is what an invoice has.
_READ: Final = Query(
    "read_invoice",
    """
SELECT i.id::text, i.number, a.user_id::text, i.subscription_id::text, i.kind, i.status, i.collection,
    i.currency,
    i.total_minor, i.vat_minor, i.balance_applied_minor, i.paid_minor, i.credited_minor, i.amount_due_minor,
    i.steps, i.reason, i.issued_at, i.due_at, i.paid_at,
    l.id::text, l.kind, l.description, l.product_id::text, l.price_id::text, l.quantity, l.list_minor,
    l.discount_minor, l.net_minor, l.vat_minor, l.vat_rate_bp, l.period_start_on, l.period_end_on, l.steps
FROM invoice i JOIN account a ON a.id = i.account_id LEFT JOIN invoice_line l ON l.invoice_id = i.id
WHERE i.id = $invoice_id:uuid AND i.status <> 'draft' AND ($user_id:uuid IS NULL OR a.user_id = $user_id:uuid)
ORDER BY l.position
""",
)


def read_invoice(invoice_id: UUID, user_id: UUID | None = None) -> dict[str, Any]:
    """InvoiceView, of the user's own when a user is given. Raises ``invoice-not-found`` (404)."""
    found = together(_READ.of(invoice_id=invoice_id, user_id=user_id))
    if not found:
        raise not_found("invoice")
    row = InvoiceRow(*found[0][:_OF_INVOICE])
    lines = [_line(LineRow(*one[_OF_INVOICE:])) for one in found if one[_OF_INVOICE] is not None]
    return invoice_body(row, row.user_id, lines, _told)


def _line(row: LineRow) -> LineRow:
    return row._replace(description=_parsed(row.description))


# What is stored does not change, and renewals at one price say the same, word by word. Nobody may change
# the values these give.
@lru_cache(maxsize=4096)
def _parsed(text: str) -> Any:
    return orjson.loads(text)


@lru_cache(maxsize=4096)
def _told(steps: str, currency: str) -> Told:
    return told(orjson.loads(steps), currency)
