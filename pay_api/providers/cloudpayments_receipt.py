"""The 54-FZ receipt inside a CloudPayments payment (CustomerReceipt)."""

from __future__ import annotations

from typing import Any, Final

from pay_api.providers.base import Receipt, ReceiptLine
from pay_api.providers.cloudpayments_amounts import amount_of

# Basis points -> the provider's VAT code; None is "without VAT", which is not the same as 0 %.
VAT_CODES: Final[dict[int | None, int | None]] = {
    None: None,
    0: 0,
    500: 5,
    700: 7,
    1000: 10,
    2000: 20,
    2200: 22,
}
_FULL_PAYMENT, _SERVICE = 4, 4  # tags 1214 and 1212
_MAX_LABEL: Final = 128


def customer_receipt(receipt: Receipt, currency: str, taxation_system: int) -> dict[str, Any]:
    """Of a charge, capture or refund: the provider tells income from its return by the operation."""
    total = amount_of(sum(line.amount_minor for line in receipt.lines), currency)
    content: dict[str, Any] = {
        "Items": [_item(line, currency) for line in receipt.lines],
        "taxationSystem": taxation_system,
        "amounts": {"electronic": total},
    }
    if receipt.email:
        content["email"] = receipt.email
    return content


def _item(line: ReceiptLine, currency: str) -> dict[str, Any]:
    # A total that does not divide into whole kopecks goes as one piece: price x quantity must be the amount.
    whole = line.amount_minor % line.quantity == 0
    quantity = line.quantity if whole else 1
    label = line.label if whole or line.quantity == 1 else f"{line.label} × {line.quantity}"
    return {
        "label": label[:_MAX_LABEL],
        "price": amount_of(line.amount_minor // quantity, currency),
        "quantity": quantity,
        "amount": amount_of(line.amount_minor, currency),
        "vat": VAT_CODES[line.vat_rate_bp],
        "method": _FULL_PAYMENT,
        "object": _SERVICE,
    }
