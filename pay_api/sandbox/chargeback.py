"""A chargeback: money the payer's bank took back from the merchant (protocol 1.3, chargebacks)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from pay_api.sandbox.transaction import Transaction, amount_number


@dataclass(slots=True, kw_only=True)
class ChargeBack:
    """``of`` is the payment; the amount in minor units of its currency."""

    id: str
    of: int
    at: datetime
    amount_minor: int

    def as_model(self, payment: Transaction, terminal_url: str) -> dict[str, Any]:
        first_six = payment.card_first_six or ""
        mask = f"{first_six[:4]} {first_six[4:]}****** {payment.card_last_four}" if first_six else None
        return {
            "ChargeBackId": int(self.id),
            "TransactionId": self.of,
            "TerminalUrl": terminal_url,
            "Gateway": "Test",
            "Operation": "Presentment",
            "Type": "Chargeback",
            "Card": mask,
            "Date": self.at.strftime("%Y-%m-%dT%H:%M:%S"),
            "Amount": amount_number(self.amount_minor, payment.currency),
            "Currency": payment.currency,
        }

    def as_record(self) -> dict[str, Any]:
        return asdict(self) | {"at": self.at.isoformat()}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(**record | {"at": datetime.fromisoformat(record["at"])})
