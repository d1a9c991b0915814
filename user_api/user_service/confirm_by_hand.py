"""Takes staff's word about money (a transfer seen, a refund sent, a review ended) to PayAPI."""

from __future__ import annotations

from uuid import UUID

from shared.money import Money
from user_api.clients.pay_api import PaymentView
from user_api.user_service import payment_copy
from user_api.user_service.commerce import Commerce


async def confirm_transfer(
    commerce: Commerce, payment_id: UUID, confirmation_id: UUID, amount: Money, reason: str, actor: str
) -> PaymentView:
    """``confirmation_id`` makes it count once at every hop. Raises PayAPI's refusals."""
    words = " ".join(reason.split())
    view = await commerce.pay_api.confirm_transfer(payment_id, confirmation_id, amount, words, actor)
    return await _kept(commerce, view)


async def confirm_refund(
    commerce: Commerce, payment_id: UUID, refund_id: UUID, finding: str, reason: str, actor: str, key: UUID
) -> PaymentView:
    """``finding``: sent, not_sent. Raises PayAPI's refusals. It counts once, whatever the ``key``."""
    words = " ".join(reason.split())
    view = await commerce.pay_api.confirm_refund(payment_id, refund_id, finding, words, actor, key)
    return await _kept(commerce, view)


async def settle_review(
    commerce: Commerce,
    payment_id: UUID,
    finding: str,
    amount: Money | None,
    transaction_id: str | None,
    reason: str,
    actor: str,
    key: UUID,
) -> PaymentView:
    """``finding``: paid, declined, voided. Raises PayAPI's refusals; the same word again changes nothing."""
    words = " ".join(reason.split())
    view = await commerce.pay_api.settle_review(
        payment_id, finding, amount, transaction_id, words, actor, key
    )
    return await _kept(commerce, view)


async def _kept(commerce: Commerce, view: PaymentView) -> PaymentView:
    async with commerce.sessions.begin() as session:
        await payment_copy.store(session, payment_copy.word_of_view(view), commerce.clock.now())
    return view
