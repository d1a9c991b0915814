"""A correction receipt of 54-FZ (settlement made without the register, or wrongly) and its rules."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Self

from pay_api.sandbox import receipt as fiscal
from pay_api.sandbox.parameters import Refused

# 1 income, 2 return of income, 3 expense, 4 return of expense
RECEIPT_TYPES: Final = range(1, 5)
# 0 by the seller's own will, 1 by order of the tax service
CORRECTION_TYPES: Final = range(2)
# 20 %, 10 %, 20/120, 10/110, 0 %, no VAT
VAT_RATES: Final = range(1, 7)
_TEXTS: Final = ("paymentplace", "paymentaddress", "cashiername", "customercontactaddress")


@dataclass(slots=True, kw_only=True)
class CorrectionReceipt:
    """As it was queued; ``content`` is its CorrectionReceiptData with names in lower case."""

    id: str
    number: int
    content: dict[str, Any]
    total: str
    created_at: datetime

    def as_record(self) -> dict[str, Any]:
        return asdict(self) | {"created_at": self.created_at.isoformat()}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(**record | {"created_at": datetime.fromisoformat(record["created_at"])})

    @property
    def printed_at(self) -> datetime:
        return self.created_at + fiscal.PRINTED_AFTER

    def as_model(self) -> dict[str, Any]:
        """Of kkt/correction-receipt/get."""
        said = self.content
        data = fiscal.fiscal_data(self.id, self.number, self.total, self.printed_at)
        data |= {"DeviceNumber": said["devicenumber"], "OrganizationInn": said["organizationinn"]}
        return self.as_said() | {"AdditionalData": data}

    def as_said(self) -> dict[str, Any]:
        """What was ordered, with names in PascalCase."""
        said, cause = self.content, self.content["causecorrection"]
        return {
            "Items": [fiscal.pascal(item) for item in said.get("items") or []],
            "TaxationSystem": said["taxationsystem"],
            "Amounts": fiscal.pascal(said["amounts"]),
            "VatRate": said.get("vatrate"),
            "CorrectionReceiptType": said["correctionreceipttype"],
            "CorrectionType": said.get("correctiontype", 0),
            "CorrectionDate": cause["correctiondate"],
            "CorrectionNumber": cause["correctionnumber"],
            "PaymentPlace": said.get("paymentplace"),
            "PaymentAddress": said.get("paymentaddress"),
            "CashierName": said.get("cashiername"),
        }


def check(content: Any) -> Decimal:
    """The total in currency units of a CorrectionReceiptData with lower-case names.

    Raises Refused for one the device would not print. Without items (formats before 1.2) the VAT rate says
    how the whole sum is taxed.
    """
    if not isinstance(content, dict):
        raise Refused("CorrectionReceiptData is required")
    _required_text(content, "devicenumber", "DeviceNumber")
    _one_of(content, "taxationsystem", "TaxationSystem", fiscal.TAX_SYSTEMS, required=True)
    _one_of(content, "correctionreceipttype", "CorrectionReceiptType", RECEIPT_TYPES, required=True)
    _one_of(content, "correctiontype", "CorrectionType", CORRECTION_TYPES)
    _one_of(content, "vatrate", "VatRate", VAT_RATES, required=not content.get("items"))
    _cause(content.get("causecorrection"))
    for name in _TEXTS:
        if content.get(name) is not None and not isinstance(content[name], str):
            raise Refused(f"Invalid {name} value")
    total = fiscal.paid(content.get("amounts"))
    if total is None or total <= 0:
        raise Refused("Amounts is required")
    if content.get("items") and fiscal.check(content) != total:
        raise Refused("Invalid Amounts value")
    return total


def _cause(cause: Any) -> None:
    if not isinstance(cause, dict):
        raise Refused("CauseCorrection is required")
    _required_text(cause, "correctionnumber", "CorrectionNumber")
    try:
        date.fromisoformat(str(cause.get("correctiondate"))[:10])
    except ValueError:
        raise Refused("Invalid CorrectionDate value") from None


def _required_text(values: dict[str, Any], name: str, shown: str) -> None:
    if not isinstance(values.get(name), str) or not values[name].strip():
        raise Refused(f"{shown} is required")


def _one_of(values: dict[str, Any], name: str, shown: str, known: range, *, required: bool = False) -> None:
    value = values.get(name)
    if value is None and not required:
        return
    if value is None:
        raise Refused(f"{shown} is required")
    if isinstance(value, bool) or value not in known:
        raise Refused(f"Invalid {shown} value")
    values[name] = int(value)
