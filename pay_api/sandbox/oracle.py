"""The ledger of effects: what really happened to money, for tests to trust above anybody's database."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pay_api.sandbox.store import Journal
from pay_api.sandbox.transaction import Transaction, TransactionType


class Effect(StrEnum):
    CHARGED = "charged"
    HELD = "held"
    CAPTURED = "captured"
    VOIDED = "voided"
    REFUNDED = "refunded"
    PAID_OUT = "paid_out"
    CHARGED_BACK = "charged_back"


@dataclass(frozen=True, slots=True)
class Entry:
    """One effect on money; the amount in minor units, ``payment_id`` is the payment a refund belongs to."""

    sequence: int
    at: str
    effect: str
    transaction_id: int
    payment_id: int
    invoice_id: str | None
    account_id: str | None
    amount: int
    currency: str
    request_id: str | None
    method: str
    initiator_code: int | None


class Oracle:
    """Append-only; nothing in the stand-in reads it back to decide anything."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._entries: list[Entry] = []
        journal.register("effect", lambda record: self._entries.append(Entry(**record)))

    def record(
        self, effect: Effect, transaction: Transaction, amount_minor: int, method: str,
        request_id: str | None, at: datetime,
    ) -> None:  # fmt: skip
        """Writes an effect of ``transaction`` (for a refund: the refund's own transaction)."""
        is_refund = transaction.type == TransactionType.REFUND and transaction.original_id is not None
        entry = Entry(
            sequence=len(self._entries) + 1,
            at=at.isoformat(),
            effect=effect.value,
            transaction_id=transaction.id,
            payment_id=transaction.original_id if is_refund and transaction.original_id else transaction.id,
            invoice_id=transaction.invoice_id,
            account_id=transaction.account_id,
            amount=amount_minor,
            currency=transaction.currency,
            request_id=request_id,
            method=method,
            initiator_code=transaction.initiator_code,
        )
        self._entries.append(entry)
        self._journal.write("effect", asdict(entry))

    def report(self, invoice_id: str | None = None, account_id: str | None = None) -> dict[str, Any]:
        """Entries, oldest first, and their totals by currency in minor units.

        ``net`` is what the merchant has: charged and captured less what was refunded, paid out,
        charged back; no holds.
        """
        entries = [
            entry
            for entry in self._entries
            if (invoice_id is None or entry.invoice_id == invoice_id)
            and (account_id is None or entry.account_id == account_id)
        ]
        totals: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(Effect, 0) | {"net": 0})
        for entry in entries:
            total = totals[entry.currency]
            total[entry.effect] += entry.amount
            if entry.effect in (Effect.CHARGED, Effect.CAPTURED):
                total["net"] += entry.amount
            elif entry.effect in (Effect.REFUNDED, Effect.PAID_OUT, Effect.CHARGED_BACK):
                total["net"] -= entry.amount
        return {"entries": [asdict(entry) for entry in entries], "totals": dict(totals)}
