"""Reads rows of CloudPayments' register (v2/payments/list) for the comparison with ours."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from pay_api.providers import cloudpayments_answers as answers
from pay_api.providers.base import Authorized, RegisterRow, Succeeded

_REFUND_TYPE: Final = 1
_WITH_MONEY: Final = ("Completed", "Authorized")


def read_row(row: dict[str, Any]) -> RegisterRow | None:
    """None for operations without money and for payouts, which this suite never makes."""
    if row.get("Status") not in _WITH_MONEY or row.get("Type") not in (0, _REFUND_TYPE):
        return None
    data = _data(row.get("JsonData"))
    common: dict[str, Any] = {
        "transaction_id": str(row.get("TransactionId")),
        "created_at": _moment(row.get("CreatedDateIso")),
        "attempt_id": _uuid(row.get("InvoiceId")),
        "payment_id": _uuid(data.get("payment_id")),
        "invoice_id": _uuid(data.get("invoice_id")),
        "description": str(row.get("Description") or ""),
    }
    if row["Type"] == _REFUND_TYPE:
        return RegisterRow(refund=answers.read_refund(row, str(row.get("OriginalTransactionId"))), **common)
    found = answers.read_query({"Success": True, "Model": row}, str(row.get("InvoiceId") or ""))
    return RegisterRow(paid=found if isinstance(found, (Succeeded, Authorized)) else None, **common)


def _data(value: Any) -> dict[str, Any]:
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _moment(value: Any) -> datetime:
    """UTC; a row whose moment cannot be read is taken for an old one, so that it is judged."""
    try:
        return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
