"""Readings (A12): PayAPI's word on a payment, asked for when an event and our books disagree."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from billing_api.billing_service.domain.reconciliation import Booked, Said
from billing_api.billing_service.models import (
    Account,
    CollectionAttempt,
    Invoice,
    OutgoingOrder,
    Payment,
)
from shared.money import Money
from shared.queue.messages.payments import PaymentState

# An outcome that has not come by then was lost on the way or is not known at the provider either.
OUTCOME_OVERDUE: Final = timedelta(hours=1)
ASK_AGAIN_AFTER: Final = timedelta(hours=6)
READING: Final = "payment_reading"


def order_reading(
    account: Account, payment_id: UUID | None, invoice_id: UUID | None, why: str, now: datetime
) -> OutgoingOrder | None:
    """Asks for a payment, or (``payment_id`` None) for every payment of an invoice; on the held account.

    None when that is on its way already.
    """
    waiting = OutgoingOrder.objects.filter(kind=READING, state="pending", payment_id=payment_id)
    if payment_id is None:
        waiting = waiting.filter(invoice_id=invoice_id)
    if waiting.exists():
        return None
    return OutgoingOrder.objects.create(
        account=account,
        kind=READING,
        payment_id=payment_id,
        invoice_id=invoice_id,
        body={"why": why, "user_id": str(account.user_id)},
        state="pending",
        next_try_at=now,
        created_at=now,
    )


def said(state: PaymentState) -> Said:
    """What an event, or PayAPI's own view, says."""
    return Said(
        user_id=state.user_id,
        invoice_id=state.invoice_id,
        status=state.status.value,
        amount=state.amount,
        captured=state.captured,
        refunded=state.refunded,
        refunds={one.refund_id: one.amount for one in state.refunds if one.status == "succeeded"},
    )


def booked(payment: Payment | None) -> Booked | None:
    """What our books hold of the payment; None while nothing is known of it."""
    if payment is None:
        return None
    attempt = CollectionAttempt.objects.filter(id=payment.id).first()
    posted = payment.allocated_minor + payment.to_balance_minor
    return Booked(
        user_id=payment.account.user_id,
        invoice_id=payment.invoice_id,
        posted=Money(posted, payment.currency) if payment.posted_at is not None else None,
        refunds={row.id: Money(row.amount_minor, row.currency) for row in payment.refund_rows.all()},
        asked=Money(attempt.amount_minor, attempt.currency) if attempt is not None else None,
    )


def known_sequence(payment_id: UUID) -> int:
    """Of the newest event applied to the payment, 0 for none."""
    return Payment.objects.filter(id=payment_id).values_list("sequence", flat=True).first() or 0


def state_of_view(view: dict[str, Any]) -> PaymentState:
    """PayAPI's ``PaymentView`` as the state that an event would carry. Raises pydantic's ValidationError."""
    came = view["captured"]["amount"] > 0
    refunds = [{**one, "refund_id": one["id"]} for one in view["refunds"]]
    return PaymentState.model_validate(
        {
            **view,
            "payment_id": view["id"],
            "refunds": refunds,
            "succeeded_at": view["updated_at"] if came else None,
        }
    )


def overdue_attempts(now: datetime) -> Any:
    """(attempt id, account id) of collections that UserAPI took and whose outcome did not come."""
    return (
        CollectionAttempt.objects.filter(state="accepted", planned_at__lte=now - OUTCOME_OVERDUE)
        .annotate(read=Exists(_read_lately(now, payment_id=OuterRef("id"))))
        .filter(read=False)
    )


def overdue_orders(now: datetime) -> Any:
    """Refunds and cancellations that UserAPI took and whose event did not come."""
    return (
        OutgoingOrder.objects.filter(kind__in=("refund", "cancellation"), state="sent")
        .filter(settled_at__lte=now - OUTCOME_OVERDUE, payment_id__isnull=False)
        .annotate(read=Exists(_read_lately(now, payment_id=OuterRef("payment_id"))))
        .filter(read=False)
    )


def paid_without_event(now: datetime) -> Any:
    """Closings that PayAPI has been answering ``paid`` for an hour while the invoice is open here."""
    still_open = Invoice.objects.filter(id=OuterRef("invoice_id"), status="open")
    return (
        OutgoingOrder.objects.filter(kind="close_payments", state="pending", last_error="paid")
        .filter(created_at__lte=now - OUTCOME_OVERDUE)
        .annotate(
            is_open=Exists(still_open),
            read=Exists(_read_lately(now, payment_id=None, invoice_id=OuterRef("invoice_id"))),
        )
        .filter(is_open=True, read=False)
    )


def _read_lately(now: datetime, **of: Any) -> Any:
    recent = Q(state="pending") | Q(created_at__gt=now - ASK_AGAIN_AFTER)
    return OutgoingOrder.objects.filter(recent, kind=READING, **of)
