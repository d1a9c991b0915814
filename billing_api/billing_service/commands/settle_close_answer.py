"""Carries on once PayAPI has said whether the payments of an invoice are closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from billing_api.billing_service import actors, locks, orders, settlement
from billing_api.billing_service.answers import OrderAnswer
from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import Account, Invoice, OutgoingOrder
from shared.errors import not_found

IN_FLIGHT_WAIT: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class ClosingSettled:
    order_id: UUID
    state: str
    invoice_status: str


def settle_close_answer(order_id: UUID, answer: OrderAnswer, *, now: datetime) -> ClosingSettled:
    """Only ``closed`` voids, expires or writes off; ``in_flight`` and ``paid`` wait for the payment's event.

    Raises ``order-not-found``.
    """
    with atomic():
        account_id = OutgoingOrder.objects.filter(id=order_id).values_list("account_id", flat=True).first()
        if account_id is None:
            raise not_found("order")
        account = locks.lock_account(account_id)
        order = OutgoingOrder.objects.get(id=order_id)
        if order.invoice_id is None:
            raise not_found("order")
        invoice = Invoice.objects.get(id=order.invoice_id)
        if order.state == "pending":
            _take(account, order, invoice, answer, now)
        return ClosingSettled(order.id, order.state, invoice.status)


def _take(
    account: Account, order: OutgoingOrder, invoice: Invoice, answer: OrderAnswer, now: datetime
) -> None:
    if invoice.status != "open":
        orders.settle(order, "done", now)
    elif answer.outcome != "accepted":
        orders.try_again(order, now, answer.code)
    elif answer.result == "in_flight":
        orders.try_again(order, now, "in_flight", IN_FLIGHT_WAIT)
    elif answer.result == "paid":
        # The success is on its way as an event and decides; asking again only makes sure it did arrive.
        orders.try_again(order, now, "paid", IN_FLIGHT_WAIT)
    else:
        orders.settle(order, "done", now)
        _close(account, order, invoice, now)


def _close(account: Account, order: OutgoingOrder, invoice: Invoice, now: datetime) -> None:
    before = {"status": invoice.status, "amount_due_minor": invoice.amount_due_minor}
    if order.body["then"] == "write_off":
        settlement.give_up(account, invoice, now)
    else:
        settlement.void(account, invoice, now)
    if order.body["then"] == "expire":
        reason = "invoice voided" if "actor" in order.body else "not paid in time"
        settlement.stand_without(account, invoice, reason, now)
    if "actor" in order.body:
        actor = actors.Actor("staff", order.body["actor"])
        after = {"status": invoice.status, "amount_due_minor": invoice.amount_due_minor}
        actors.record(
            f"{order.body['command']}_done",
            actor,
            order.body["reason"],
            account=account,
            subject=("invoice", invoice.id),
            before=before,
            after=after,
            now=now,
        )
