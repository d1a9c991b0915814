"""Events of the exchange ``payments`` (Queue 1), published by PayAPI."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.money import Money
from shared.queue.messages.base import EventState


class PaymentStatus(StrEnum):
    """The same names in databases, API and events."""

    CREATED = "created"
    PROCESSING = "processing"
    ACTION_REQUIRED = "action_required"
    AUTHORIZED = "authorized"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    UNKNOWN = "unknown"
    NEEDS_REVIEW = "needs_review"


class DeclineClass(StrEnum):
    """What a decline means for the next try."""

    HARD = "hard"
    SOFT = "soft"
    TECHNICAL = "technical"
    AUTHENTICATION = "authentication"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Decline(_Part):
    """Why a payment failed: ``code`` is stable (kebab-case), ``message`` is in the payer's language."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, serialize_by_alias=True)

    decline_class: DeclineClass = Field(alias="class")
    code: str
    message: str


class RefundState(_Part):
    """One refund. ``refund_id`` is the key its postings are unique by."""

    refund_id: UUID
    amount: Money
    status: Literal["processing", "succeeded", "failed", "unknown"]
    reason: str
    waits_for_person: bool = False  # by itself nothing happens to it any more
    cancellation_id: UUID | None = None
    refund_order_id: UUID | None = None
    origin: Literal["suite", "provider"] = "suite"
    created_at: datetime
    succeeded_at: datetime | None = None


class PaymentState(EventState):
    """A payment. ``captured`` and ``refunded`` are totals in minor units of ``amount``'s currency."""

    AGGREGATE: ClassVar[str] = "payment"
    EXCHANGE: ClassVar[str] = "payments"
    TYPES: ClassVar[tuple[str, ...]] = (
        "payment.created",
        "payment.action_required",
        "payment.authorized",
        "payment.succeeded",
        "payment.failed",
        "payment.refunded",
        "payment.cancelled",
        "payment.needs_review",
    )

    payment_id: UUID
    invoice_id: UUID | None
    user_id: UUID
    purpose: Literal["invoice", "method_verification"]
    initiator: Literal["customer", "merchant"]
    provider: str
    status: PaymentStatus
    amount: Money
    captured: Money
    refunded: Money
    settles_invoice: bool = True
    late: bool = False
    decline: Decline | None = None
    payment_method_id: UUID | None = None
    card_mask: str | None = None
    refunds: list[RefundState] = Field(default_factory=list)
    created_at: datetime
    succeeded_at: datetime | None = None
    updated_at: datetime


class PaymentMethodState(EventState):
    """A saved payment method: masked data only."""

    AGGREGATE: ClassVar[str] = "payment_method"
    EXCHANGE: ClassVar[str] = "payments"
    TYPES: ClassVar[tuple[str, ...]] = ("payment_method.saved", "payment_method.detached")

    payment_method_id: UUID
    user_id: UUID
    provider: str
    status: Literal["active", "detached"]
    card_mask: str
    card_brand: str
    expires_month: int
    expires_year: int
    fingerprint: str  # keyed hash: the same card of two people gives the same one, nothing leads back
    saved_by_payment_id: UUID | None = None
    created_at: datetime
    updated_at: datetime
