"""The calls that wait for billing-worker: written with their cause, sent after its commit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import Account, CollectionAttempt, Invoice, OutgoingOrder, Payment
from billing_api.billing_service.reports import report

# While one worker sends an order, no other takes it: longer than UserAPI may be waited for.
LEASE: Final = timedelta(seconds=60)
_BACK_OFF_SECONDS: Final = (2, 5, 10, 30, 60, 120, 300, 600)


def back_off(attempts: int) -> timedelta:
    """How long to wait after that many tries in vain."""
    return timedelta(seconds=_BACK_OFF_SECONDS[min(attempts, len(_BACK_OFF_SECONDS)) - 1])


def order_closing(
    account: Account, invoice: Invoice, then: str, now: datetime, **body: Any
) -> OutgoingOrder | None:
    """Asks to close the payments of an invoice; ``then`` (void, expire, write_off) follows on ``closed``.

    None when a closing of this invoice is already on its way.
    """
    if OutgoingOrder.objects.filter(invoice_id=invoice.id, kind="close_payments", state="pending").exists():
        return None
    withdraw_attempts(invoice, now)
    return OutgoingOrder.objects.create(
        account=account,
        kind="close_payments",
        invoice_id=invoice.id,
        currency=invoice.currency,
        body={"then": then, **body},
        state="pending",
        next_try_at=now,
        created_at=now,
    )


def withdraw_attempts(invoice: Invoice, now: datetime) -> None:
    """Attempts not yet sent are not sent any more; one already under way ends by its event."""
    for attempt in CollectionAttempt.objects.filter(invoice=invoice, state="planned"):
        withdrawn = OutgoingOrder.objects.filter(id=attempt.id, state="pending", attempts=0).update(
            state="withdrawn", settled_at=now
        )
        if withdrawn:
            attempt.state, attempt.settled_at = "withdrawn", now
            attempt.store("state", "settled_at")


def withdraw_closing(invoice: Invoice, now: datetime) -> None:
    OutgoingOrder.objects.filter(invoice_id=invoice.id, kind="close_payments", state="pending").update(
        state="withdrawn", settled_at=now
    )


def claim(now: datetime, limit: int = 20) -> list[OutgoingOrder]:
    """Takes due orders for sending; another worker passes them over until the lease ends."""
    with atomic():
        due = list(
            OutgoingOrder.objects.select_for_update(skip_locked=True)
            .filter(state="pending", next_try_at__lte=now)
            .order_by("next_try_at")[:limit]
        )
        for order in due:
            order.attempts += 1
            order.next_try_at = now + LEASE
            order.store("attempts", "next_try_at")
        return due


def settle(order: OutgoingOrder, state: str, now: datetime, error: str = "") -> None:
    """The call came to an end."""
    order.state, order.settled_at, order.last_error = state, now, error
    order.store("state", "settled_at", "last_error")


def try_again(order: OutgoingOrder, now: datetime, error: str, wait: timedelta | None = None) -> None:
    """The same call, with the same key, later."""
    order.next_try_at = now + (wait or back_off(order.attempts))
    order.last_error = error
    order.store("next_try_at", "last_error")


def report_refusal(
    account: Account, order_id: UUID, payment_id: UUID | None, code: str, now: datetime
) -> None:
    """Money that was to go back does not: ``order_id`` is the refund order's or the cancellation's."""
    report("refund_refused", account, ("order", order_id), {"code": code, "payment_id": str(payment_id)}, now)


def cancellations_by_hand() -> QuerySet[OutgoingOrder, UUID]:
    """Ids of cancellations PayAPI has taken down and only a person can carry out: refunds of transfers."""
    transfers = Payment.objects.filter(provider="bank_transfer", captured_minor__gt=0)
    return OutgoingOrder.objects.filter(
        kind="cancellation", state="sent", payment_id__in=transfers.values("id")
    ).values_list("id", flat=True)


def pending_refunds_minor(payment_id: UUID, known_refund_orders: Iterable[UUID | None]) -> int:
    """Ordered and not yet arrived, minor units."""
    waiting = OutgoingOrder.objects.filter(
        payment_id=payment_id, kind="refund", state__in=("pending", "sent")
    ).exclude(id__in=[known for known in known_refund_orders if known is not None])
    return sum(order.amount_minor for order in waiting)


def order_refund(
    account: Account,
    payment: Payment,
    amount_minor: int,
    reason: str,
    now: datetime,
    credit_note_id: UUID | None = None,
) -> OutgoingOrder:
    """Asks UserAPI to give money back; with a credit note the invoice has been credited for it already."""
    return OutgoingOrder.objects.create(
        account=account,
        kind="refund",
        invoice_id=payment.invoice_id,
        payment_id=payment.id,
        credit_note_id=credit_note_id,
        currency=payment.currency,
        amount_minor=amount_minor,
        body={"reason": reason},
        state="pending",
        next_try_at=now,
        created_at=now,
    )
