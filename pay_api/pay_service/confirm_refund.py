"""Takes a person's word that money of a refund by hand was sent back: only then it counts as refunded."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from pay_api import repository
from pay_api.pay_service.context import Context
from pay_api.pay_service.refund_payment import settle_refund
from pay_api.providers.base import Done
from shared.errors import conflict, not_found


@dataclass(frozen=True, slots=True)
class ConfirmRefund:
    """``actor``: the person of staff who sent the money of the refund, as ``reason`` proves."""

    payment_id: UUID
    refund_id: UUID
    actor: str
    reason: str
    caller: str


async def confirm_refund(ctx: Context, command: ConfirmRefund) -> None:
    """Refuses with ``refund-not-found`` (404), ``refund-not-awaited`` (409). Confirmed before: no change.

    A refund that a provider makes by itself is ended by its own word; a person's is taken only when the
    reconciler has given it up.
    """
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, command.payment_id)
        if payment is None:
            raise not_found("payment")
        refunds = await repository.refunds_of(session, payment.id)
        refund = next((each for each in refunds if each.id == command.refund_id), None)
        if refund is None:
            raise not_found("refund")
        by_hand = f"by-hand-{refund.id}"
        if refund.status == "succeeded" and refund.transaction_id == by_hand:
            return
        # No next question: only a person can send it, or a day of questions found nothing.
        if refund.status not in ("processing", "unknown") or refund.next_query_at is not None:
            raise conflict("refund-not-awaited", "No person is asked to send the money of this refund.")
        actor = f"staff:{command.actor}"
        await settle_refund(
            session, payment, refund, Done(by_hand), actor=actor, now=now, note=f"sent: {command.reason}"
        )
