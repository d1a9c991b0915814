"""Cancels a payment of the user's own: BillingAPI decides what goes back, PayAPI carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from shared.errors import conflict, not_found
from shared.ids import derived_id
from shared.money import Money
from user_api.clients.billing_api import Cancellation
from user_api.clients.pay_api import PaymentView
from user_api.user_service import payment_copy
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import Payment, PaymentCancellation

REASON = "requested-by-customer"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The payment as PayAPI shows it now; the money's way back may still be under way."""

    payment: Payment
    cancellation_id: UUID


async def cancel_payment(commerce: Commerce, user_id: UUID, payment_id: UUID, request_id: UUID) -> Cancelled:
    """Architecture, section 6, "Cancel a payment".

    Raises ``payment-not-found``, BillingAPI's ``payment-in-progress`` and ``payment-not-cancellable``
    (409, with the rule) and PayAPI's refusals. A resumed run repeats the decision it already has.
    """
    async with commerce.sessions() as session:
        row = await session.get(Payment, payment_id)
        if row is None or row.user_id != user_id or row.known_at is None:
            raise not_found("payment")
        decided = await session.get(PaymentCancellation, request_id)
    decision = _of_row(decided) if decided else await _decide(commerce, user_id, payment_id, request_id)
    amount = decision.amount if decision.action == "refund" else None
    view = await commerce.pay_api.cancel_payment(payment_id, decision.cancellation_id, amount, REASON)
    async with commerce.sessions.begin() as session:
        word = payment_copy.word_of_view(view)
        payment = await payment_copy.store(session, word, commerce.clock.now())
    return Cancelled(payment, decision.cancellation_id)


async def _decide(commerce: Commerce, user_id: UUID, payment_id: UUID, request_id: UUID) -> Cancellation:
    view = await commerce.pay_api.get_payment(payment_id)
    if view.invoice_id is None:
        raise conflict(
            "payment-not-cancellable", "This payment only verified a card.", rule="method-verification"
        )
    decision = await commerce.billing_api.decide_cancellation(
        payment_id,
        {
            "user_id": str(user_id),
            "invoice_id": str(view.invoice_id),
            "status": view.status.value,
            "captured": view.captured.as_json(),
            "refunded": view.refunded.as_json(),
        },
        # The state is part of the key: asked again after the payment has moved on, it is another question.
        derived_id(request_id, f"cancellation:{_state(view)}"),
    )
    async with commerce.sessions.begin() as session:
        await session.execute(
            insert(PaymentCancellation)
            .values(
                request_id=request_id,
                payment_id=payment_id,
                cancellation_id=decision.cancellation_id,
                action=decision.action,
                currency=decision.amount.currency,
                amount_minor=decision.amount.amount,
                created_at=commerce.clock.now(),
            )
            .on_conflict_do_nothing()
        )
    return decision


def _state(view: PaymentView) -> str:
    return f"{view.status.value}:{view.captured.amount}:{view.refunded.amount}"


def _of_row(row: PaymentCancellation) -> Cancellation:
    action = "refund" if row.action == "refund" else "void"
    amount = Money(row.amount_minor, row.currency)
    return Cancellation(cancellation_id=row.cancellation_id, action=action, amount=amount)
