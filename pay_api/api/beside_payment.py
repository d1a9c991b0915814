"""What stands beside a payment for services: its fiscal receipts, and money taken once more for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import FiscalReceipt, SecondCharge
from shared.money import Money


class ReceiptView(BaseModel):
    """A 54-FZ receipt: ``amount`` must stand on it, ``issued_amount`` does; ``url`` shows it.

    ``overdue``: it has not come for a day. ``mismatch``: another sum stands on it.
    """

    kind: Literal["income", "income_return"]
    amount: Money
    status: Literal["pending", "overdue", "issued", "mismatch"]
    refund_id: UUID | None = None
    issued_amount: Money | None
    url: str | None
    issued_at: datetime | None


class SecondChargeView(BaseModel):
    """Money the provider took once more under an attempt of this payment; ``payment_id`` stands for it."""

    payment_id: UUID
    transaction_id: str
    amount: Money
    found_at: datetime


@dataclass(frozen=True, slots=True)
class Beside:
    """Rows that belong to some payments."""

    receipts: Sequence[FiscalReceipt] = ()
    second_charges: Sequence[SecondCharge] = ()

    def receipts_of(self, payment_id: UUID) -> list[ReceiptView]:
        return [_view_receipt(row) for row in self.receipts if row.payment_id == payment_id]

    def first_of(self, payment_id: UUID) -> UUID | None:
        """The payment this one is the second charge of."""
        return next((row.first_payment_id for row in self.second_charges if row.id == payment_id), None)

    def second_charges_of(self, payment_id: UUID) -> list[SecondChargeView]:
        return [
            SecondChargeView(
                payment_id=row.id,
                transaction_id=row.transaction_id,
                amount=Money(row.amount_minor, row.currency),
                found_at=row.found_at,
            )
            for row in self.second_charges
            if row.first_payment_id == payment_id
        ]


async def beside(session: AsyncSession, *payment_ids: UUID) -> Beside:
    return Beside(
        await repository.receipts_of(session, *payment_ids),
        await repository.second_charges_of(session, *payment_ids),
    )


def _view_receipt(row: FiscalReceipt) -> ReceiptView:
    issued = None if row.issued_minor is None else Money(row.issued_minor, row.currency)
    return ReceiptView.model_validate(
        {
            "kind": row.kind,
            "amount": Money(row.amount_minor, row.currency),
            "status": row.status,
            "refund_id": row.refund_id,
            "issued_amount": issued,
            "url": row.url,
            "issued_at": row.issued_at,
        }
    )
