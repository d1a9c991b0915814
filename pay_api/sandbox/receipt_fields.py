"""What the Receipt notification says about a printed document, in the provider's order (protocol 2.3)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

from pay_api.sandbox.correction import CorrectionReceipt
from pay_api.sandbox.receipt import TYPES, FiscalReceipt

_DATE: Final = "%Y-%m-%d %H:%M:%S"
_QR: Final = "t={:%Y%m%dT%H%M}&s={}&fn={}&i={}&fp={}&n={}"


def receipt_fields(document: FiscalReceipt | CorrectionReceipt) -> dict[str, str]:
    """Fields by name: the required ones, then what ties it to a payment, empty when nothing does."""
    model = document.as_model()
    fiscal, said = model["AdditionalData"], document.as_said()
    type_ = _type(document)
    amount = f"{Decimal(document.total):.2f}"
    inside = _QR.format(
        document.printed_at,
        amount,
        fiscal["FiscalNumber"],
        fiscal["DocumentNumber"],
        fiscal["FiscalSign"],
        TYPES.index(type_) + 1,
    )
    return {
        "Id": document.id,
        "DocumentNumber": fiscal["DocumentNumber"],
        "SessionNumber": fiscal["SessionNumber"],
        "Number": fiscal["SessionCheckNumber"],
        "FiscalSign": fiscal["FiscalSign"],
        "DeviceNumber": fiscal["DeviceNumber"],
        "RegNumber": fiscal["RegNumber"],
        "FiscalNumber": fiscal["FiscalNumber"],
        "Inn": fiscal["OrganizationInn"],
        "Type": type_,
        "Ofd": fiscal["Ofd"],
        "Url": fiscal["OfdReceiptUrl"],
        "QrCodeUrl": f"https://qr.invalid/?{inside}",
        "Amount": amount,
        "DateTime": document.printed_at.strftime(_DATE),
        "Receipt": json.dumps(said, ensure_ascii=False, separators=(",", ":")),
        **_references(document),
        "CalculationPlace": _text(document.content.get("calculationplace")),
        "CashierName": _text(document.content.get("cashiername")),
        "SettlePlace": _text(document.content.get("paymentplace")),
    }


def _type(document: FiscalReceipt | CorrectionReceipt) -> str:
    """A correction is told by the kind of settlement it corrects."""
    if isinstance(document, FiscalReceipt):
        return document.type
    return TYPES[document.content["correctionreceipttype"] - 1]


def _references(document: FiscalReceipt | CorrectionReceipt) -> dict[str, str]:
    if isinstance(document, CorrectionReceipt):
        return {"TransactionId": "", "InvoiceId": "", "AccountId": ""}
    return {
        "TransactionId": _text(document.transaction_id),
        "InvoiceId": _text(document.invoice_id),
        "AccountId": _text(document.account_id),
    }


def _text(value: Any) -> str:
    return "" if value is None else str(value)
