"""Takes a person's word about a refund that waits for one: its money was sent back, or was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from pay_api import repository
from pay_api.pay_service.context import Context
from pay_api.pay_service.refund_payment import by_hand, settle_refund
from pay_api.providers.base import Done, Refused
from shared.errors import conflict, not_found

_TO: Final = {"sent": "succeeded", "not_sent": "failed"}


@dataclass(frozen=True, slots=True)
class ConfirmRefund:
    """``actor``: the person of staff who sent the money, or saw that nobody did, as ``reason`` proves."""

    payment_id: UUID
    refund_id: UUID
    finding: Literal["sent", "not_sent"]
    actor: str
    reason: str
    caller: str


async def confirm_refund(ctx: Context, command: ConfirmRefund) -> None:
    """Refuses with ``refund-not-found`` (404), ``refund-not-awaited`` (409). Confirmed before: no change.

    A refund that a provider makes by itself is ended by its own word; a person's is taken only when the
    reconciler has given it up. ``not_sent`` ends it like a refusal: its amount is free for another order.
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
        said_before = refund.staff_word is not None and refund.status == _TO[command.finding]
        if said_before or (refund.status == "succeeded" and refund.transaction_id == by_hand(refund)):
            return
        if not refund.waits_for_person:
            raise conflict("refund-not-awaited", "No person is asked about the money of this refund.")
        actor, note = f"staff:{command.actor}", f"{command.finding.replace('_', ' ')}: {command.reason}"
        refund.staff_word = f"{actor}: {note}"
        outcome = Done(by_hand(refund)) if command.finding == "sent" else Refused(refund.staff_word)
        await settle_refund(ctx, session, payment, refund, outcome, actor=actor, now=now, note=note)
