"""The tables of the database `pay` as classes: columns only; constraints stand in the migration."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, LargeBinary, MetaData
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    metadata = MetaData()
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own protocol
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        bytes: LargeBinary,
    }


class PaymentInvoice(Base):
    """The row an invoice's payments queue at; ``closed_at`` refuses all later ones."""

    __tablename__ = "payment_invoice"

    invoice_id: Mapped[UUID] = mapped_column(primary_key=True)
    closed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class PaymentMethod(Base):
    """A saved card: the provider's token (encrypted) with its terminal, and masked data."""

    __tablename__ = "payment_method"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    provider: Mapped[str]
    terminal_id: Mapped[str]
    token_encrypted: Mapped[bytes]
    fingerprint: Mapped[str]
    card_mask: Mapped[str]
    card_brand: Mapped[str]
    expires_month: Mapped[int]
    expires_year: Mapped[int]
    status: Mapped[str]
    saved_by_payment_id: Mapped[UUID | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    detached_at: Mapped[datetime | None]


class Payment(Base):
    """A payment. Every UPDATE is conditional on ``version`` and raises it by one."""

    __tablename__ = "payment"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    invoice_id: Mapped[UUID | None]
    user_id: Mapped[UUID]
    purpose: Mapped[str]
    initiator: Mapped[str]
    provider: Mapped[str]
    status: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    captured_minor: Mapped[int] = mapped_column(default=0)
    refunded_minor: Mapped[int] = mapped_column(default=0)
    capture: Mapped[str]
    settles_invoice: Mapped[bool] = mapped_column(default=True)
    late: Mapped[bool] = mapped_column(default=False)
    duplicate: Mapped[bool] = mapped_column(default=False)
    method_kind: Mapped[str]
    payment_method_id: Mapped[UUID | None]
    save_method: Mapped[bool]
    awaits_card: Mapped[bool] = mapped_column(default=False)
    instructions: Mapped[dict[str, Any] | None]
    expires_at: Mapped[datetime | None]
    card_mask: Mapped[str | None]
    card_brand: Mapped[str | None]
    decline_class: Mapped[str | None]
    decline_code: Mapped[str | None]
    review_reason: Mapped[str | None]
    description: Mapped[str]
    locale: Mapped[str]
    payer_encrypted: Mapped[bytes]
    receipt: Mapped[dict[str, Any]]
    return_url: Mapped[str | None]
    caller: Mapped[str]
    next_charge_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column()
    created_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's own protocol


class ErasedCustomer(Base):
    """A customer whose personal data was erased on their wish. Append-only."""

    __tablename__ = "erased_customer"

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    erased_at: Mapped[datetime]


class Attempt(Base):
    """One try to charge. Its id is the provider's InvoiceId and the X-Request-ID of the charge."""

    __tablename__ = "payment_attempt"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    payment_id: Mapped[UUID]
    status: Mapped[str]
    provider: Mapped[str]
    terminal_id: Mapped[str]
    payment_method_id: Mapped[UUID | None]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    save_method: Mapped[bool] = mapped_column(default=False)
    transaction_id: Mapped[str | None]
    reason_code: Mapped[int | None]
    acs_url: Mapped[str | None]
    pa_req: Mapped[str | None]
    threeds_request_id: Mapped[UUID | None]
    expires_at: Mapped[datetime | None]
    voided_at: Mapped[datetime | None]
    first_sent_at: Mapped[datetime]
    last_sent_at: Mapped[datetime]
    last_missed_at: Mapped[datetime | None]
    next_query_at: Mapped[datetime | None]
    query_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Transfer(Base):
    """Money of a bank transfer as staff saw it arrive. Append-only."""

    __tablename__ = "payment_transfer"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    payment_id: Mapped[UUID]
    amount_minor: Mapped[int]
    actor: Mapped[str]
    reason: Mapped[str]
    caller: Mapped[str]
    confirmed_at: Mapped[datetime]


class Operation(Base):
    """A capture or a void; its id is its X-Request-ID."""

    __tablename__ = "payment_operation"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    payment_id: Mapped[UUID]
    attempt_id: Mapped[UUID]
    kind: Mapped[str]
    amount_minor: Mapped[int]
    status: Mapped[str]
    reason: Mapped[str]
    refusal: Mapped[str | None]
    caller: Mapped[str]
    first_sent_at: Mapped[datetime]
    last_sent_at: Mapped[datetime]
    next_query_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Refund(Base):
    """Money on its way back; its id is its X-Request-ID."""

    __tablename__ = "payment_refund"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    payment_id: Mapped[UUID]
    attempt_id: Mapped[UUID]
    amount_minor: Mapped[int]
    status: Mapped[str]
    reason: Mapped[str]
    origin: Mapped[str]
    cancellation_id: Mapped[UUID | None]
    refund_order_id: Mapped[UUID | None]
    provider: Mapped[str]
    transaction_id: Mapped[str | None]
    caller: Mapped[str]
    first_sent_at: Mapped[datetime | None]
    last_sent_at: Mapped[datetime | None]
    last_missed_at: Mapped[datetime | None]
    next_query_at: Mapped[datetime | None]
    staff_word: Mapped[str | None]
    created_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]

    @property
    def waits_for_person(self) -> bool:
        """By itself nothing happens to it any more: to be sent by hand, or a day of questions was in vain."""
        return self.status in ("processing", "unknown") and self.next_query_at is None


class FiscalReceipt(Base):
    """A 54-FZ receipt a provider must report: of a captured payment, or (``refund_id``) of a refund."""

    __tablename__ = "payment_receipt"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    payment_id: Mapped[UUID]
    refund_id: Mapped[UUID | None]
    kind: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    provider: Mapped[str]
    status: Mapped[str]
    provider_receipt_id: Mapped[str | None]
    issued_minor: Mapped[int | None]
    document_number: Mapped[str | None]
    fiscal_sign: Mapped[str | None]
    device_number: Mapped[str | None]
    url: Mapped[str | None]
    issued_at: Mapped[datetime | None]
    looks: Mapped[int] = mapped_column(default=0)
    next_look_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class SecondCharge(Base):
    """Money taken once more under an attempt: its id is the payment that stands for it. Append-only."""

    __tablename__ = "payment_second_charge"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    first_payment_id: Mapped[UUID]
    first_attempt_id: Mapped[UUID]
    transaction_id: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    found_by: Mapped[str]
    found_at: Mapped[datetime]


class Transition(Base):
    """One step of a payment's status: who, when, why. Append-only."""

    __tablename__ = "payment_transition"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    payment_id: Mapped[UUID]
    version: Mapped[int]
    from_status: Mapped[str | None]
    to_status: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str]
    transaction_id: Mapped[str | None]
    at: Mapped[datetime]


class Webhook(Base):
    """A notification of a provider: stored first, applied after; its key dedupes for ever."""

    __tablename__ = "webhook"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    provider: Mapped[str]
    kind: Mapped[str]
    transaction_id: Mapped[str]
    status: Mapped[str]
    event: Mapped[dict[str, Any]]
    token_encrypted: Mapped[bytes | None]
    outcome: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    duplicates: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    received_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
