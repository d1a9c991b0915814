"""Takes PayAPI's word on a payment: applies what was missed, leaves to a person what still contradicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from billing_api.billing_service import locks, orders, readings
from billing_api.billing_service.answers import OrderAnswer
from billing_api.billing_service.commands.apply_payment_event import apply_payment_view
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain.reconciliation import contradiction
from billing_api.billing_service.models import Account, OutgoingOrder, Payment
from billing_api.billing_service.reports import report
from shared.errors import not_found
from shared.queue.messages.payments import PaymentState

PAYMENT_DISAGREES: Final = "payment_disagrees"


@dataclass(frozen=True, slots=True)
class ReadingSettled:
    """``applied``: payments of which something was missing here; ``disagree``: those left to a person."""

    order_id: UUID
    state: str
    applied: tuple[UUID, ...] = ()
    disagree: tuple[UUID, ...] = ()


def settle_payment_reading(
    order_id: UUID,
    answer: OrderAnswer,
    states: Sequence[PaymentState] = (),
    known: Mapping[UUID, int] | None = None,
    *,
    now: datetime,
) -> ReadingSettled:
    """``known``: the sequences before the reading; an event that came meanwhile makes it be read again.

    PayAPI's word that agrees with the books, or only says more, is applied like an event. One that
    contradicts what is posted changes nothing and is reported (``payment_disagrees``), as is a payment that
    PayAPI does not know. Raises ``order-not-found``.
    """
    with atomic():
        account_id = OutgoingOrder.objects.filter(id=order_id).values_list("account_id", flat=True).first()
        if account_id is None:
            raise not_found("order")
        account = locks.lock_account(account_id)
        order = OutgoingOrder.objects.get(id=order_id)
        if order.state != "pending":
            return ReadingSettled(order.id, order.state)
        if answer.outcome == "later":
            orders.try_again(order, now, answer.code)
            return ReadingSettled(order.id, order.state)
        if answer.outcome == "refused":
            return _unknown_there(account, order, answer.code, now)
        if any(
            readings.known_sequence(one.payment_id) != (known or {}).get(one.payment_id) for one in states
        ):
            orders.try_again(order, now, "an event came meanwhile")
            return ReadingSettled(order.id, order.state)
        applied, disagree = [], []
        for state in states:
            why = contradiction(readings.said(state), readings.booked(_payment(state.payment_id)))
            if why is not None or state.user_id != account.user_id:
                disagree.append(state.payment_id)
                _report(account, order, state.payment_id, why or "of-another-user", now)
            elif apply_payment_view(state, now=now):
                applied.append(state.payment_id)
        orders.settle(order, "done", now)
        return ReadingSettled(order.id, order.state, tuple(applied), tuple(disagree))


def _payment(payment_id: UUID) -> Payment | None:
    return Payment.objects.select_related("account").filter(id=payment_id).first()


def _unknown_there(account: Account, order: OutgoingOrder, code: str, now: datetime) -> ReadingSettled:
    orders.settle(order, "refused", now, code)
    subject = order.payment_id or order.invoice_id
    assert subject is not None
    kind = "payment" if order.payment_id else "invoice"
    _report(account, order, subject, code, now, kind)
    return ReadingSettled(order.id, order.state, disagree=(subject,))


def _report(
    account: Account, order: OutgoingOrder, subject_id: UUID, why: str, now: datetime, kind: str = "payment"
) -> None:
    detail = {"why": why, "asked_because": order.body.get("why", "")}
    report(PAYMENT_DISAGREES, account, (kind, subject_id), detail, now)
