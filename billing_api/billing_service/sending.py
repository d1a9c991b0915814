"""Sends the orders that wait, one by one and outside any transaction, and settles their answers."""

from __future__ import annotations

from functools import partial
from typing import Final

from billing_api.billing_service import orders, readings
from billing_api.billing_service.answers import OrderAnswer
from billing_api.billing_service.clients.user_api import UserApi
from billing_api.billing_service.commands.settle_close_answer import settle_close_answer
from billing_api.billing_service.commands.settle_collection_answer import settle_collection_answer
from billing_api.billing_service.commands.settle_payment_reading import settle_payment_reading
from billing_api.billing_service.commands.settle_refund_answer import settle_refund_answer
from billing_api.billing_service.database import rerun
from billing_api.billing_service.models import OutgoingOrder, Payment
from shared import logs
from shared.clock import Clock
from shared.errors import AppError, Kind
from shared.failpoints import failpoint
from shared.ids import derived_id
from shared.queue.messages.payments import PaymentState

# Refusals that change by themselves: another payment is under way, an answer is still being worked out.
WAITING_CODES: Final = frozenset(
    {"payment-in-progress", "request-in-progress", "idempotency-key-in-flight", "payment-not-posted-yet"}
)

log = logs.logger(__name__)


def send_due_orders(user_api: UserApi, clock: Clock, limit: int = 20) -> int:
    """Sends up to ``limit`` due orders; gives how many. Safe in several workers at once."""
    taken = rerun(partial(orders.claim, clock.now(), limit))
    for order in taken:
        failpoint("billing.renew.after_commit_before_call")
        if order.kind == readings.READING:
            _read(user_api, order, clock)
            continue
        answer = _send(user_api, order)
        match order.kind:
            case "collection":
                rerun(partial(settle_collection_answer, order.id, answer, now=clock.now()))
            case "close_payments":
                rerun(partial(settle_close_answer, order.id, answer, now=clock.now()))
            case _:
                rerun(partial(settle_refund_answer, order.id, answer, now=clock.now()))
        log.info("order-sent", kind=order.kind, outcome=answer.outcome, code=answer.code)
    return len(taken)


def _send(user_api: UserApi, order: OutgoingOrder) -> OrderAnswer:
    try:
        match order.kind:
            case "collection":
                user_api.collect(order)
            case "close_payments":
                body = user_api.close_payments(order, derived_id(order.id, f"close-{order.attempts}"))
                return OrderAnswer("accepted", result=str(body.get("result", "in_flight")))
            case _:
                user_api.refund(order)
    except AppError as error:
        return answer_of(error)
    return OrderAnswer("accepted")


def _read(user_api: UserApi, order: OutgoingOrder, clock: Clock) -> None:
    """What PayAPI says is compared with our books, unless an event came while it was being asked."""
    of = {"id": order.payment_id} if order.payment_id else {"invoice_id": order.invoice_id}
    known = dict(Payment.objects.filter(**of).values_list("id", "sequence"))
    states: list[PaymentState] = []
    try:
        states = [readings.state_of_view(view) for view in user_api.read_payments(order)]
        answer = OrderAnswer("accepted")
    except AppError as error:
        answer = answer_of(error)
    known = {one.payment_id: 0 for one in states} | known
    settled = rerun(partial(settle_payment_reading, order.id, answer, states, known, now=clock.now()))
    log.info("payment-read", why=order.body.get("why"), outcome=answer.outcome, applied=len(settled.applied))


def answer_of(error: AppError) -> OrderAnswer:
    """Only a clear refusal is final; whatever may change or is not known is tried again with the same key."""
    passing = error.kind in (Kind.UNAVAILABLE, Kind.TOO_MANY, Kind.BROKEN_INVARIANT)
    if passing or error.code in WAITING_CODES or error.retry_after_seconds is not None:
        return OrderAnswer("later", error.code, retry_after_seconds=error.retry_after_seconds)
    return OrderAnswer("refused", error.code)
