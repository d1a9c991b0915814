"""An order: a link by which anybody with the address pays once (protocol 1.3, orders)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Self

from pay_api.sandbox.transaction import amount_number, both_dates, currency_code


class OrderStatus(IntEnum):
    """Only Created 0 is documented; the other numbers are the stand-in's choice."""

    CREATED = 0
    PAID = 1
    CANCELLED = 2

    @property
    def wire_name(self) -> str:
        return self.name.title()


@dataclass(slots=True, kw_only=True)
class Order:
    """``transaction_id`` is the payment at work or made; the amount in minor units."""

    id: str
    number: int
    amount_minor: int
    currency: str
    description: str
    email: str | None
    phone: str | None
    require_confirmation: bool
    invoice_id: str | None
    account_id: str | None
    culture_name: str
    success_url: str | None
    fail_url: str | None
    json_data: str | None
    created_at: datetime
    status: OrderStatus = OrderStatus.CREATED
    paid_at: datetime | None = None
    transaction_id: int | None = None

    def as_model(self, origin: str) -> dict[str, Any]:
        return {
            "Id": self.id,
            "Number": self.number,
            "Amount": amount_number(self.amount_minor, self.currency),
            "Currency": self.currency,
            "CurrencyCode": currency_code(self.currency),
            "Email": self.email,
            "Phone": self.phone or "",
            "Description": self.description,
            "RequireConfirmation": self.require_confirmation,
            "Url": f"{origin.rstrip('/')}/d/{self.id}",
            "CultureName": self.culture_name,
            **both_dates("Created", self.created_at),
            **both_dates("Payment", self.paid_at),
            "StatusCode": int(self.status),
            "Status": self.status.wire_name,
            "InternalId": self.number,
        }

    def as_record(self) -> dict[str, Any]:
        record = asdict(self)
        for name in ("created_at", "paid_at"):
            record[name] = record[name].isoformat() if record[name] else None
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        values = dict(record)
        for name in ("created_at", "paid_at"):
            values[name] = datetime.fromisoformat(values[name]) if values[name] else None
        values["status"] = OrderStatus(values["status"])
        return cls(**values)
