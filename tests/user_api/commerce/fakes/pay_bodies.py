"""Bodies PayAPI accepts from UserAPI (docs/contracts.md, 2); an unknown member is refused."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from shared.money import Money
from tests.user_api.commerce.fakes.service import Strict


class CancelBody(Strict):
    cancellation_id: UUID
    amount: Money | None = None
    reason: str
    uncaptured_only: bool = False


class RefundBody(Strict):
    refund_order_id: UUID
    amount: Money
    reason: str


class Method(Strict):
    kind: Literal["card_cryptogram", "saved_method", "hosted", "bank_transfer"]
    card_cryptogram: str | None = None
    cardholder_name: str | None = None
    save_method: bool | None = None
    payment_method_id: UUID | None = None


class Payer(Strict):
    email: str | None = None
    ip: str | None = None
    locale: str


class ReceiptLine(Strict):
    label: str
    quantity: int
    amount: Money
    vat_rate_bp: int


class Receipt(Strict):
    lines: list[ReceiptLine]


class PaymentBody(Strict):
    payment_id: UUID
    invoice_id: UUID
    user_id: UUID
    amount: Money
    description: str
    initiator: Literal["customer", "merchant"]
    method: Method
    provider: Literal["cloudpayments", "bank_transfer"] = "cloudpayments"
    payer: Payer
    return_url: str | None = None
    receipt: Receipt


class TransferConfirmation(Strict):
    confirmation_id: UUID
    amount: Money
    reason: str
    actor: str


class RefundConfirmation(Strict):
    refund_id: UUID
    finding: Literal["sent", "not_sent"] = "sent"
    reason: str
    actor: str


class ReviewSettlement(Strict):
    finding: Literal["paid", "declined", "voided"]
    amount: Money | None = None
    transaction_id: str | None = None
    reason: str
    actor: str


class AddMethodBody(Strict):
    payment_id: UUID
    card_cryptogram: str
    cardholder_name: str | None = None
    payer: Payer
    return_url: str | None = None
