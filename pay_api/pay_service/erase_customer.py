"""Forgets who a customer was (reliability 4.10); what was paid stays, under the bare user id."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import cast, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api.models import Attempt, ErasedCustomer, Operation, Payment, PaymentMethod, Refund, Webhook
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.payment import LIVE, PAID
from pay_api.vault import Payer
from shared.errors import conflict

_UNSETTLED: Final = [status.value for status in LIVE - PAID]
NO_CARD: Final = ""


async def erase_customer(ctx: Context, user_id: UUID) -> datetime:
    """When it was erased; again gives the same moment.

    Raises ``payment-in-progress`` (409) while a payment, capture, void or refund has no outcome yet.
    """
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        # Payments before methods, each in the order of ids: as everybody takes these locks.
        payments = await session.scalars(
            select(Payment.id).where(Payment.user_id == user_id).order_by(Payment.id).with_for_update()
        )
        payment_ids = list(payments)
        known = await session.get(ErasedCustomer, user_id)
        if known is not None:
            return known.erased_at
        await _refuse_while_money_moves(session, user_id, payment_ids)
        await session.execute(insert(ErasedCustomer).values(user_id=user_id, erased_at=now))
        await _forget_cards(ctx, session, user_id, now)
        await _forget_payers(ctx, session, user_id, payment_ids)
    return now


async def _refuse_while_money_moves(session: AsyncSession, user_id: UUID, payment_ids: list[UUID]) -> None:
    unsettled = select(Payment.id).where(Payment.user_id == user_id, Payment.status.in_(_UNSETTLED))
    refunds = select(Refund.id).where(
        Refund.payment_id.in_(payment_ids), Refund.status.in_(("processing", "unknown"))
    )
    operations = select(Operation.id).where(
        Operation.payment_id.in_(payment_ids), Operation.status.in_(("started", "unknown"))
    )
    for query in (unsettled, refunds, operations):
        if await session.scalar(query.limit(1)) is not None:
            refusal = conflict("payment-in-progress", "Money of this customer is on its way.")
            refusal.retry_after_seconds = 30
            raise refusal


async def _forget_cards(ctx: Context, session: AsyncSession, user_id: UUID, now: datetime) -> None:
    found = await session.scalars(
        select(PaymentMethod)
        .where(PaymentMethod.user_id == user_id)
        .order_by(PaymentMethod.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    for method in found.all():
        method.token_encrypted = ctx.vault.seal("")
        method.fingerprint = f"erased:{method.id}"
        method.card_mask = method.card_brand = NO_CARD
        if method.status == "active":
            method.status, method.detached_at, method.updated_at = "detached", now, now
            await session.flush()
            await transitions.tell_method(session, method, "payment_method.detached", now)


async def _forget_payers(ctx: Context, session: AsyncSession, user_id: UUID, payment_ids: list[UUID]) -> None:
    # Not by the mapper: the payment's story is over, so its version (the stream's ids) stays.
    nobody = ctx.vault.seal_payer(Payer(None, None))
    await session.execute(
        update(Payment)
        .where(Payment.user_id == user_id)
        .values(payer_encrypted=nobody, return_url=None, card_mask=None, card_brand=None)
        .execution_options(synchronize_session=False)
    )
    await session.execute(
        update(Attempt)
        .where(Attempt.payment_id.in_(payment_ids))
        .values(pa_req=None, acs_url=None)
        .execution_options(synchronize_session=False)
    )
    told = select(Attempt.transaction_id).where(
        Attempt.payment_id.in_(payment_ids), Attempt.transaction_id.is_not(None)
    )
    await session.execute(
        update(Webhook)
        .where(Webhook.transaction_id.in_(told))
        .values(token_encrypted=None, event=Webhook.event.op("||")(cast({"card": None}, JSONB)))
        .execution_options(synchronize_session=False)
    )
