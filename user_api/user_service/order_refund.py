"""Carries out a refund or cancellation that BillingAPI has decided, under the key it was given."""

from __future__ import annotations

from uuid import UUID

from shared.errors import invalid
from shared.money import Money
from user_api.clients.pay_api import PaymentView
from user_api.user_service import cancel_payment, payment_copy
from user_api.user_service.commerce import Commerce


async def order_refund(
    commerce: Commerce,
    payment_id: UUID,
    *,
    refund_order_id: UUID | None,
    cancellation_id: UUID | None,
    amount: Money,
    reason: str,
    key: str,
) -> PaymentView:
    """``key`` is the id of the refund order or of the cancellation (exactly one), as at every other hop.

    A cancellation of 0 voids what is only authorised or under way. Raises ``refund-order-ambiguous``,
    ``idempotency-key-mismatch``, ``amount-not-positive`` (422) and PayAPI's refusals.
    """
    words = " ".join(reason.split()) or "ordered-by-billing"
    order_id = refund_order_id or cancellation_id
    if order_id is None or (refund_order_id and cancellation_id):
        raise invalid("refund-order-ambiguous", "Give either refund_order_id or cancellation_id.")
    if key.lower() != str(order_id):
        raise invalid("idempotency-key-mismatch", "The Idempotency-Key is the id of the order.")
    if amount.amount < 0 or (refund_order_id and amount.amount == 0):
        raise invalid("amount-not-positive", "The amount must be above 0.")
    if refund_order_id:
        view = await commerce.pay_api.refund_payment(payment_id, refund_order_id, amount, words)
    else:
        # Word for word what the user's own request sends: whichever comes second repeats the first.
        rest = amount if amount.amount else None
        view = await commerce.pay_api.cancel_payment(payment_id, order_id, rest, cancel_payment.REASON)
    async with commerce.sessions.begin() as session:
        await payment_copy.store(session, payment_copy.word_of_view(view), commerce.clock.now())
    return view
