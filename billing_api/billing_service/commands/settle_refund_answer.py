"""Keeps what became of sending a refund order or of redriving a cancellation; money is posted by event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import locks, orders
from billing_api.billing_service.answers import OrderAnswer
from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import OutgoingOrder, PaymentCancellation
from shared.errors import not_found


@dataclass(frozen=True, slots=True)
class RefundSettled:
    order_id: UUID
    state: str


def settle_refund_answer(order_id: UUID, answer: OrderAnswer, *, now: datetime) -> RefundSettled:
    """A final refusal is reported; anything unclear is sent again with the same key."""
    with atomic():
        account_id = OutgoingOrder.objects.filter(id=order_id).values_list("account_id", flat=True).first()
        if account_id is None:
            raise not_found("order")
        account = locks.lock_account(account_id)
        order = OutgoingOrder.objects.get(id=order_id)
        if order.state == "pending":
            match answer.outcome:
                case "accepted":
                    orders.settle(order, "sent", now)
                case "later":
                    orders.try_again(order, now, answer.code)
                case "refused":
                    orders.settle(order, "refused", now, answer.code)
                    PaymentCancellation.objects.filter(id=order.id, state="open").update(
                        state="failed", settled_at=now
                    )
                    orders.report_refusal(account, order.id, order.payment_id, answer.code, now)
        return RefundSettled(order.id, order.state)
