"""Receipts ordered inside payments and refunds: ``JsonData.cloudpayments.CustomerReceipt`` (protocol 1.3)."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from pay_api.sandbox import receipt as fiscal
from pay_api.sandbox.parameters import Refused
from pay_api.sandbox.receipt import FiscalReceipt
from pay_api.sandbox.records import Records
from pay_api.sandbox.transaction import Transaction, TransactionType
from shared.ids import new_id
from shared.money import minor_to_decimal_text

_INN: Final = "7700000000"  # of the terminal's seller, as registered with the cash register service


def order_receipt(
    receipts: Records[FiscalReceipt], transaction: Transaction, instruction: str | None, now: datetime
) -> FiscalReceipt | None:
    """Of money taken or given back. One that breaks the rules is kept with its error: the money moved."""
    content = _instruction(instruction)
    if content is None:
        return None
    back = transaction.type == TransactionType.REFUND
    made = FiscalReceipt(
        id=str(new_id()),
        number=len(receipts.all()) + 1,
        inn=_INN,
        type="IncomeReturn" if back else "Income",
        content=fiscal.lower_names(content),
        invoice_id=transaction.invoice_id,
        account_id=transaction.account_id,
        created_at=now,
        transaction_id=transaction.id,
    )
    try:
        total = fiscal.check(made.content)
        made.total = str(total)
        if total != Decimal(minor_to_decimal_text(transaction.amount_minor, transaction.currency)):
            made.error = "The receipt and the payment differ"
    except Refused as refusal:
        made.error = refusal.message
    receipts.save(made)
    return made


def _instruction(text: str | None) -> Any:
    try:
        value: Any = json.loads(text or "null", parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    for name in ("cloudpayments", "customerreceipt"):
        if not isinstance(value, dict):
            return None
        value = {key.lower(): item for key, item in value.items()}.get(name)
    return value
