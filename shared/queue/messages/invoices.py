"""Events of the exchange ``invoices`` (Queue 2), published by BillingAPI."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.money import Money
from shared.queue.messages.base import EventState


class InvoiceStatus(StrEnum):
    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class CollectionStatus(StrEnum):
    NONE = "none"
    PROCESSING = "processing"
    ACTION_REQUIRED = "action_required"
    FAILED = "failed"
    PARTIALLY_PAID = "partially_paid"
    OVERDUE = "overdue"


class SubscriptionStatus(StrEnum):
    INCOMPLETE = "incomplete"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class InvoiceLine(_Part):
    """``net`` is what the line costs after discounts, VAT included; ``vat`` is the part of it that is VAT."""

    line_id: UUID
    kind: str
    product_id: UUID | None
    price_id: UUID | None
    list_amount: Money
    discount: Money
    net: Money
    vat: Money
    vat_rate_bp: int
    period_start: date | None = None
    period_end: date | None = None


class InvoiceState(EventState):
    """An invoice; ``total`` = sum of line nets, ``amount_due`` = total less balance applied and payments."""

    AGGREGATE: ClassVar[str] = "invoice"
    EXCHANGE: ClassVar[str] = "invoices"
    TYPES: ClassVar[tuple[str, ...]] = (
        "invoice.issued",
        "invoice.paid",
        "invoice.payment_failed",
        "invoice.overdue",
        "invoice.voided",
        "invoice.uncollectible",
    )

    invoice_id: UUID
    number: str
    user_id: UUID
    subscription_id: UUID | None
    kind: Literal["first", "renewal", "change", "purchase", "charge", "debt"]
    status: InvoiceStatus
    collection: CollectionStatus
    total: Money
    vat: Money
    balance_applied: Money
    paid: Money
    credited: Money
    amount_due: Money
    lines: list[InvoiceLine]
    payment_ids: list[UUID] = Field(default_factory=list)
    issued_at: datetime
    due_at: datetime
    paid_at: datetime | None = None
    updated_at: datetime


class CreditNoteState(EventState):
    """A correction of an issued invoice."""

    AGGREGATE: ClassVar[str] = "credit_note"
    EXCHANGE: ClassVar[str] = "invoices"
    TYPES: ClassVar[tuple[str, ...]] = ("credit_note.issued",)

    credit_note_id: UUID
    number: str
    invoice_id: UUID
    user_id: UUID
    subscription_id: UUID | None
    reason: str
    total: Money
    vat: Money
    refund_id: UUID | None = None
    issued_at: datetime


class SubscriptionState(EventState):
    """A subscription, or a one-time purchase (``kind: one_time``, for ever or for its days).

    ``access_until`` is computed by BillingAPI alone: None for access without an end; a moment in the past
    (or ``access_ends_at_once``) means no access. ``grants_access`` is False before the first payment.
    ``reduced_until``: until when the product's reduced grants go on after it; None: nothing goes on.
    """

    AGGREGATE: ClassVar[str] = "subscription"
    EXCHANGE: ClassVar[str] = "invoices"
    TYPES: ClassVar[tuple[str, ...]] = (
        "subscription.created",
        "subscription.trial_will_end",
        "subscription.price_will_change",
        "subscription.activated",
        "subscription.renewed",
        "subscription.past_due",
        "subscription.changed",
        "subscription.paused",
        "subscription.resumed",
        "subscription.cancel_scheduled",
        "subscription.cancelled",
        "subscription.expired",
    )

    subscription_id: UUID
    user_id: UUID
    kind: Literal["recurring", "one_time"]
    product_id: UUID
    price_id: UUID
    product_group: str
    status: SubscriptionStatus
    cancel_at_period_end: bool = False
    grants_access: bool
    access_until: datetime | None
    reduced_until: datetime | None = None
    current_period_start: date | None = None
    current_period_end: date | None = None
    trial_ends_at: datetime | None = None
    term_periods: int | None = None  # a fixed term ends after so many invoiced periods
    periods_billed: int = 0
    next_invoice_at: datetime | None = None
    latest_invoice_id: UUID | None = None
    upcoming_price: Money | None = None  # from the first period that begins at its date or later
    upcoming_price_from: datetime | None = None
    created_at: datetime
    updated_at: datetime
