"""Notes in the audit what staff said of money to PayAPI; the money itself is posted by its event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import Payment
from shared.errors import not_found
from shared.money import Money

Confirmation = Literal["confirm_transfer", "confirm_refund", "settle_review"]


@dataclass(frozen=True, slots=True)
class ConfirmationNoted:
    payment_id: UUID
    status: str


def note_confirmation(
    payment_id: UUID,
    kind: Confirmation,
    amount: Money,
    *,
    finding: str | None = None,
    actor: Actor,
    reason: str,
    now: datetime,
) -> ConfirmationNoted:
    """``before`` is the payment as billing knew it, ``after`` what PayAPI took down (minor units).

    ``finding``: what the person found, where there was a choice.

    Raises ``payment-not-found``, ``reason-missing``.
    """
    reason = require_reason(reason)
    with atomic():
        payment = Payment.objects.select_related("account").filter(id=payment_id).first()
        if payment is None:
            raise not_found("payment")
        record(
            kind,
            actor,
            reason,
            account=payment.account,
            subject=("payment", payment.id),
            before={
                "status": payment.status,
                "captured": Money(payment.captured_minor, payment.currency).as_json(),
                "refunded": Money(payment.refunded_minor, payment.currency).as_json(),
            },
            after={"confirmed": amount.as_json()} | ({"finding": finding} if finding else {}),
            now=now,
        )
        return ConfirmationNoted(payment.id, payment.status)
