"""A fiscal receipt of 54-FZ at the cash register service, and the rules it must keep to be printed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Self

from pay_api.sandbox.parameters import Refused

TYPES: Final = ("Income", "IncomeReturn", "Expense", "ExpenseReturn")
VAT_CODES: Final = frozenset({None, 0, 5, 7, 10, 12, 18, 20, 22, 105, 107, 110, 118, 120, 122})
TAX_SYSTEMS: Final = range(6)
_MAX_LABEL: Final = 128
_KOPECK: Final = Decimal("0.01")
PRINTED_AFTER: Final = timedelta(seconds=1)  # of the suite's clock, from the queue to the paper


@dataclass(slots=True, kw_only=True)
class FiscalReceipt:
    """As it was queued; ``number`` counts the documents of the device."""

    id: str
    number: int
    inn: str
    type: str
    content: dict[str, Any] = field(default_factory=dict)
    total: str = "0"
    invoice_id: str | None = None
    account_id: str | None = None
    created_at: datetime
    transaction_id: int | None = None  # the payment or refund it was ordered with
    error: str | None = None  # why the device did not print it

    @property
    def printed_at(self) -> datetime:
        return self.created_at + PRINTED_AFTER

    def as_record(self) -> dict[str, Any]:
        return asdict(self) | {"created_at": self.created_at.isoformat()}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(**record | {"created_at": datetime.fromisoformat(record["created_at"])})

    def as_model(self) -> dict[str, Any]:
        """Of kkt/receipt/get."""
        data = fiscal_data(self.id, self.number, self.total, self.printed_at)
        return self.as_said() | {
            "AdditionalData": data | {"OrganizationInn": self.inn, "Type": self.type},
        }

    def as_said(self) -> dict[str, Any]:
        """What was ordered, with the items in PascalCase."""
        content = self.content
        return {
            "Items": [pascal(item) for item in content["items"]],
            "TaxationSystem": content.get("taxationsystem"),
            "Email": content.get("email"),
            "Phone": content.get("phone"),
            "Amounts": pascal(content.get("amounts")) or None,
        }


def fiscal_data(receipt_id: str, number: int, total: str, printed_at: datetime) -> dict[str, Any]:
    """What the device and its fiscal drive add to a printed document."""
    return {
        "Id": receipt_id,
        "Amount": float(total),
        "DateTime": printed_at.strftime("%Y-%m-%dT%H:%M:%S"),
        "DeviceNumber": "00000000000000000001",
        "DocumentNumber": str(number),
        "FiscalNumber": "9999078900000001",
        "FiscalSign": f"{number * 2654435761 % 2**32:010d}",
        "Ofd": "Sandbox OFD",
        "OfdReceiptUrl": f"https://ofd.invalid/rec/{receipt_id}",
        "RegNumber": "0000000001000001",
        "SessionCheckNumber": str(number),
        "SessionNumber": "1",
    }


def is_inn(value: Any) -> bool:
    """Whether it may be the tax number of an organisation or a sole trader."""
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) in (10, 12)


def pascal(value: Any) -> dict[str, Any]:
    """Names as answers write them."""
    names = {
        "advancepayment": "AdvancePayment",
        "measurementunit": "MeasurementUnit",
        "agentsign": "AgentSign",
        "ean13": "EAN13",
    }
    if not isinstance(value, dict):
        return {}
    return {names.get(name, name[:1].upper() + name[1:]): item for name, item in value.items()}


def lower_names(value: Any) -> Any:
    """Names of every level in lower case, numbers as JSON can hold them."""
    if isinstance(value, dict):
        return {str(name).lower(): lower_names(item) for name, item in value.items()}
    if isinstance(value, list):
        return [lower_names(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def check(content: Any) -> Decimal:
    """The receipt's total in currency units. Raises Refused for one the device would not print."""
    if not isinstance(content, dict):
        raise Refused("CustomerReceipt is required")
    items = content.get("items")
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise Refused("Items is required")
    if content.get("taxationsystem") not in (None, *TAX_SYSTEMS):
        raise Refused("Invalid TaxationSystem value")
    total = sum((_line(item) for item in items), Decimal(0))
    if total <= 0:
        raise Refused("Invalid Amount value")
    if paid(content.get("amounts")) not in (None, total):
        raise Refused("Invalid Amounts value")
    return total


def paid(amounts: Any) -> Decimal | None:
    """The sum of all kinds of payment in currency units; None when they are not told."""
    if not isinstance(amounts, dict):
        return None
    return sum((_decimal(value, "Amounts") for value in amounts.values() if value is not None), Decimal(0))


def _line(item: dict[str, Any]) -> Decimal:
    label = item.get("label")
    if not isinstance(label, str) or not label.strip():
        raise Refused("Label is required")
    item["label"] = label[:_MAX_LABEL]
    price, quantity, amount = (_decimal(item.get(name), name) for name in ("price", "quantity", "amount"))
    if price < 0 or amount < 0 or quantity <= 0:
        raise Refused("Invalid Amount value")
    if any(value != value.quantize(_KOPECK) for value in (price, amount)):
        raise Refused("Invalid Amount value")
    if amount > price * quantity:  # after discount it may be less
        raise Refused("Invalid Amount value")
    vat = item.get("vat")
    if vat not in VAT_CODES:
        raise Refused("Invalid Vat value")
    return amount


def _decimal(value: Any, name: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("nan")
    if isinstance(value, bool) or not number.is_finite():
        raise Refused(f"Invalid {name[:1].upper() + name[1:]} value")
    return number
