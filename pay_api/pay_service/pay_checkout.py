"""Pays in the hosted checkout: one attempt with one card; a decline leaves the payment open for another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.pay_service.context import Context
from pay_api.pay_service.settle_attempt import is_hosted
from pay_api.pay_service.start_payment import (
    begin_attempt,
    charge_of,
    payment_in_progress,
    require_cryptogram,
    require_taking,
)
from pay_api.pay_service.write_verdict import write_verdict
from pay_api.providers.base import Charge
from shared.errors import conflict, not_found
from shared.queue.messages.payments import PaymentStatus

ACTOR: Final = "payer"
# More tries than any forgetful person needs: cards are not tested here.
MAX_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True)
class PayCheckout:
    """What the page sends; ``card_cryptogram`` is never stored."""

    payment_id: UUID
    card_cryptogram: str = field(repr=False)
    cardholder_name: str | None
    save_method: bool


async def pay_checkout(ctx: Context, command: PayCheckout) -> None:
    """Charges; whatever became of it stands in the payment.

    Refuses with ``payment-in-progress``, ``checkout-closed``, ``too-many-attempts`` (409),
    ``cryptogram-invalid`` (422), ``provider-unavailable`` (503). Of two tabs the second is refused: the
    payment is processing from the first's commit on.
    """
    async with ctx.sessions.begin() as session:
        charge, provider = await _write_intent(ctx, session, command)
    outcome = await ctx.providers[provider].charge(charge)
    await write_verdict(ctx, command.payment_id, charge.attempt_id, outcome)


async def _write_intent(ctx: Context, session: AsyncSession, command: PayCheckout) -> tuple[Charge, str]:
    payment = await repository.lock_payment(session, command.payment_id)
    if payment is None or not is_hosted(payment):
        raise not_found("payment")
    if payment.status != PaymentStatus.ACTION_REQUIRED:
        in_flight = payment.status in (PaymentStatus.PROCESSING, PaymentStatus.UNKNOWN)
        raise payment_in_progress(payment.id) if in_flight else _closed(payment.status)
    if not payment.awaits_card:
        raise payment_in_progress(payment.id)
    if payment.expires_at is None or payment.expires_at <= ctx.clock.now():
        raise _closed("expired")
    if await repository.count_attempts(session, payment.id) >= MAX_ATTEMPTS:
        raise conflict("too-many-attempts", "Too many cards were tried. Start the payment again.")
    provider = ctx.providers[payment.provider]
    require_cryptogram(provider, command.card_cryptogram)
    require_taking(provider)
    payment.decline_class = payment.decline_code = None
    save = command.save_method
    attempt = await begin_attempt(ctx, session, payment, None, ACTOR, save_method=save)
    charge = charge_of(
        ctx,
        payment,
        attempt,
        None,
        card_cryptogram=command.card_cryptogram,
        cardholder_name=command.cardholder_name,
    )
    return charge, payment.provider


def _closed(status: str) -> Exception:
    return conflict("checkout-closed", f"This payment takes no more cards: it is {status}.", status=status)
