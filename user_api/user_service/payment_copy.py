"""The Users database's copy of payments: newer word of PayAPI wins, whether it came as answer or event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.money import Money
from shared.queue.messages.payments import PaymentMethodState, PaymentState, PaymentStatus
from user_api.clients.pay_api import PaymentView
from user_api.user_service import consents
from user_api.user_service.commerce_models import Payment, PaymentMethod

# How far along a status is: settles which of two states with the very same moment is the newer.
_PROGRESS: Final = {
    PaymentStatus.CREATED: 0,
    PaymentStatus.PROCESSING: 1,
    PaymentStatus.UNKNOWN: 2,
    PaymentStatus.ACTION_REQUIRED: 2,
    PaymentStatus.AUTHORIZED: 3,
    PaymentStatus.NEEDS_REVIEW: 4,
    PaymentStatus.FAILED: 5,
    PaymentStatus.SUCCEEDED: 5,
    PaymentStatus.PARTIALLY_REFUNDED: 6,
    PaymentStatus.REFUNDED: 7,
    PaymentStatus.CANCELLED: 8,
}


@dataclass(frozen=True, slots=True)
class PaymentWord:
    """What PayAPI says of a payment. An event says nothing of ``next_action`` and ``events_url``.

    ``sequence``: an event's number among those of its payment; an answer has none.
    """

    payment_id: UUID
    user_id: UUID
    invoice_id: UUID | None
    initiator: str
    status: PaymentStatus
    amount: Money
    captured: Money
    refunded: Money
    method_id: UUID | None
    card_mask: str | None
    decline: dict[str, Any] | None
    next_action: dict[str, Any] | None
    events_url: str | None
    created_at: datetime
    updated_at: datetime
    sequence: int | None = None


def word_of_view(view: PaymentView) -> PaymentWord:
    return PaymentWord(
        payment_id=view.id,
        user_id=view.user_id,
        invoice_id=view.invoice_id,
        initiator=view.initiator,
        status=view.status,
        amount=view.amount,
        captured=view.captured,
        refunded=view.refunded,
        method_id=view.payment_method_id,
        card_mask=view.card_mask,
        decline=view.decline,
        next_action=view.next_action,
        events_url=view.events_url,
        created_at=view.created_at,
        updated_at=view.updated_at,
    )


def word_of_event(state: PaymentState, sequence: int) -> PaymentWord:
    decline, told = state.decline, None
    if decline is not None:
        told = {"class": decline.decline_class.value, "code": decline.code, "message": decline.message}
    return PaymentWord(
        payment_id=state.payment_id,
        user_id=state.user_id,
        invoice_id=state.invoice_id,
        initiator=state.initiator,
        status=state.status,
        amount=state.amount,
        captured=state.captured,
        refunded=state.refunded,
        method_id=state.payment_method_id,
        card_mask=state.card_mask,
        decline=told,
        next_action=None,
        events_url=None,
        created_at=state.created_at,
        updated_at=state.updated_at,
        sequence=sequence,
    )


def is_newer(row: Payment, word: PaymentWord) -> bool:
    """Whether the word replaces what the row holds: two events by their sequence, else by the moment."""
    if word.sequence is not None and row.state_sequence is not None:
        return word.sequence > row.state_sequence
    if row.known_at is None or word.updated_at > row.updated_at:
        return True
    return (
        word.updated_at == row.updated_at and _PROGRESS[word.status] >= _PROGRESS[PaymentStatus(row.status)]
    )


async def store(session: AsyncSession, word: PaymentWord, now: datetime) -> Payment:
    """Writes the word unless the row knows better, and settles the consent that hangs on the payment."""
    await session.execute(
        insert(Payment)
        .values(
            id=word.payment_id,
            user_id=word.user_id,
            invoice_id=word.invoice_id,
            initiator=word.initiator,
            status=word.status.value,
            currency=word.amount.currency,
            amount_minor=word.amount.amount,
            captured_minor=word.captured.amount,
            refunded_minor=word.refunded.amount,
            created_at=word.created_at,
            updated_at=word.updated_at,
        )
        .on_conflict_do_nothing(index_elements=[Payment.id])
    )
    row = await lock(session, word.payment_id)
    assert row is not None
    if is_newer(row, word):
        row.status = word.status.value
        row.captured_minor = word.captured.amount
        row.refunded_minor = word.refunded.amount
        row.method_id = word.method_id or row.method_id
        row.card_mask = word.card_mask or row.card_mask
        row.decline = word.decline
        waiting = word.status is PaymentStatus.ACTION_REQUIRED
        row.next_action = (word.next_action or row.next_action) if waiting else None
        row.updated_at = word.updated_at
        row.state_sequence = word.sequence
        row.known_at = row.known_at or now
    row.events_url = word.events_url or row.events_url
    row.payer = None
    await session.flush()
    await consents.settle(session, row, now)
    return row


async def lock(session: AsyncSession, payment_id: UUID) -> Payment | None:
    return await session.scalar(
        select(Payment)
        .where(Payment.id == payment_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


async def store_method(session: AsyncSession, state: PaymentMethodState, now: datetime) -> None:
    """Keeps a saved card's masked data; a detached one never comes back, and its consents end."""
    detached_at = state.updated_at if state.status == "detached" else None
    await session.execute(
        insert(PaymentMethod)
        .values(
            id=state.payment_method_id,
            user_id=state.user_id,
            provider=state.provider,
            card_mask=state.card_mask,
            card_brand=state.card_brand,
            expires_month=state.expires_month,
            expires_year=state.expires_year,
            created_at=state.created_at,
            detached_at=detached_at,
            forgotten_at=detached_at,
        )
        .on_conflict_do_update(
            index_elements=[PaymentMethod.id],
            set_={
                "card_mask": state.card_mask,
                "expires_month": state.expires_month,
                "expires_year": state.expires_year,
            }
            | ({"detached_at": detached_at, "forgotten_at": detached_at} if detached_at else {}),
        )
    )
    if detached_at:
        await consents.revoke_of_method(session, state.payment_method_id, "method-detached", now)
    elif state.saved_by_payment_id is not None:
        await _give_method(session, state.saved_by_payment_id, state.payment_method_id, now)


async def _give_method(session: AsyncSession, payment_id: UUID, method_id: UUID, now: datetime) -> None:
    """The card a payment has saved: told of after its success when the provider named the token late."""
    row = await lock(session, payment_id)
    if row is not None and row.method_id is None:
        row.method_id = method_id
        await session.flush()
        await consents.settle(session, row, now)
