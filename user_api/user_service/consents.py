"""Consents to automatic charges: recorded pending, active when their payment succeeds, ended for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import logs
from shared.ids import new_id
from shared.queue.messages.payments import PaymentStatus
from user_api.user_service import consent_texts
from user_api.user_service.commerce_models import Payment, PaymentMethod, RecurringPayment

SUCCESSFUL = (PaymentStatus.SUCCEEDED, PaymentStatus.PARTIALLY_REFUNDED)
FRUITLESS = (PaymentStatus.FAILED, PaymentStatus.CANCELLED, PaymentStatus.REFUNDED)
CONSENTS: Final = Counter(
    "consents_recorded_total", "Consents to automatic charges by whether their text is published", ["text"]
)

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Consent:
    """The user accepted this version of the text, shown in this language (``ru`` or ``en``)."""

    text_version: str
    language: str


def record(
    session: AsyncSession,
    consent: Consent,
    *,
    user_id: UUID,
    subscription_id: UUID,
    payment_id: UUID | None,
    payment_method_id: UUID | None,
    now: datetime,
) -> RecurringPayment:
    """Adds a pending consent; what makes it active is ``settle`` or ``activate``.

    The hash proves which words were accepted. A version that is not published here is recorded as given and
    without one: other systems may show texts of their own.
    """
    text = consent_texts.find(consent.text_version, consent.language)
    CONSENTS.labels("unknown" if text is None else "published").inc()
    if text is None:
        log.warning("consent-text-unknown", text_version=consent.text_version, user_id=str(user_id))
    row = RecurringPayment(
        id=new_id(),
        user_id=user_id,
        subscription_id=subscription_id,
        payment_id=payment_id,
        payment_method_id=payment_method_id,
        status="pending",
        text_version=consent.text_version,
        text_language=consent.language,
        text_sha256=text.sha256 if text is not None else None,
        accepted_at=now,
        created_at=now,
    )
    session.add(row)
    return row


async def replaces_card(
    session: AsyncSession, user_id: UUID, subscription_id: UUID, payment_method_id: UUID | None
) -> bool:
    """Whether this card (None: a new one) is another than the one last agreed for the subscription.

    An ended consent counts as well: who ends it first does not get around what a change of cards asks for.
    """
    agreed = await session.scalar(
        select(RecurringPayment.payment_method_id)
        .where(
            RecurringPayment.user_id == user_id,
            RecurringPayment.subscription_id == subscription_id,
            RecurringPayment.payment_method_id.is_not(None),
            or_(RecurringPayment.activated_at.is_not(None), RecurringPayment.status == "pending"),
        )
        .order_by(RecurringPayment.id.desc())
        .limit(1)
    )
    return agreed is not None and agreed != payment_method_id


async def lock_of_subscription(session: AsyncSession, subscription_id: UUID) -> Sequence[RecurringPayment]:
    """Every consent of a subscription that is not ended, locked in the order of their ids."""
    found = await session.scalars(
        select(RecurringPayment)
        .where(RecurringPayment.subscription_id == subscription_id, RecurringPayment.status != "revoked")
        .order_by(RecurringPayment.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.all()


def revoke(row: RecurringPayment, reason: str, now: datetime) -> None:
    row.status = "revoked"
    row.revoked_at = now
    row.revoked_reason = reason


async def revoke_of_subscription(
    session: AsyncSession, subscription_id: UUID, reason: str, now: datetime
) -> None:
    for row in await lock_of_subscription(session, subscription_id):
        revoke(row, reason, now)


async def revoke_of_method(
    session: AsyncSession, payment_method_id: UUID, reason: str, now: datetime
) -> Sequence[RecurringPayment]:
    """Ends every consent that charges this method."""
    found = await session.scalars(
        select(RecurringPayment)
        .where(RecurringPayment.payment_method_id == payment_method_id, RecurringPayment.status != "revoked")
        .order_by(RecurringPayment.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    rows = found.all()
    for row in rows:
        revoke(row, reason, now)
    return rows


async def activate(
    session: AsyncSession, row: RecurringPayment, payment_method_id: UUID, now: datetime
) -> None:
    """Makes a consent the active one of its subscription; an earlier one is replaced."""
    for other in await lock_of_subscription(session, row.subscription_id):
        if other.id != row.id and other.status == "active":
            revoke(other, "replaced", now)
    await session.flush()  # one active a subscription: the old one steps down first
    row.status = "active"
    row.payment_method_id = payment_method_id
    row.activated_at = now
    await session.flush()


async def settle(session: AsyncSession, payment: Payment, now: datetime) -> None:
    """What a payment's state means for the consent given with it; nothing while the payment is under way."""
    row = await session.scalar(
        select(RecurringPayment).where(
            RecurringPayment.payment_id == payment.id, RecurringPayment.status == "pending"
        )
    )
    if row is None:
        return
    if row not in await lock_of_subscription(session, row.subscription_id) or row.status != "pending":
        return  # ended or settled by somebody who held the lock before us
    # A card's check ends cancelled, its 1.00 given back, and has succeeded when it has saved the card.
    has_checked = payment.invoice_id is None and payment.status == PaymentStatus.CANCELLED
    if payment.status in SUCCESSFUL or (has_checked and payment.method_id is not None):
        method_id = payment.method_id or row.payment_method_id
        if method_id is None:
            return  # the card's token may still come with a later word of PayAPI
        method = await session.get(PaymentMethod, method_id)
        if method is not None and method.detached_at is not None:
            revoke(row, "method-detached", now)
        else:
            await activate(session, row, method_id, now)
    elif payment.status in FRUITLESS:
        revoke(row, "payment-failed", now)
