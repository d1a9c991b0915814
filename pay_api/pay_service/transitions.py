"""Writes a payment's steps: status, history and events in the caller's transaction, always together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Payment, PaymentMethod, Refund, Transition
from pay_api.pay_service.context import SOURCE
from pay_api.pay_service.declines import DeclineReason, message
from pay_api.pay_service.payment import EDGES
from shared.errors import broken_invariant
from shared.money import Money
from shared.queue.messages.payments import (
    Decline,
    DeclineClass,
    PaymentMethodState,
    PaymentState,
    PaymentStatus,
    RefundState,
)
from shared.queue.outbox import add_async

CREATED: Final = "created"
# What the world hears of each status; processing and unknown are nobody else's business.
_EVENTS: Final[dict[PaymentStatus, tuple[str, ...]]] = {
    PaymentStatus.CREATED: ("payment.created",),
    PaymentStatus.PROCESSING: (),
    PaymentStatus.ACTION_REQUIRED: ("payment.action_required",),
    PaymentStatus.AUTHORIZED: ("payment.authorized",),
    PaymentStatus.SUCCEEDED: ("payment.succeeded",),
    PaymentStatus.FAILED: ("payment.failed",),
    PaymentStatus.CANCELLED: ("payment.cancelled",),
    PaymentStatus.PARTIALLY_REFUNDED: ("payment.refunded",),
    PaymentStatus.REFUNDED: ("payment.refunded", "payment.cancelled"),
    PaymentStatus.UNKNOWN: (),
    PaymentStatus.NEEDS_REVIEW: ("payment.needs_review",),
}


def decline_of(payment: Payment) -> Decline | None:
    """Why the payment failed, in the payer's language."""
    if payment.decline_class is None or payment.decline_code is None:
        return None
    reason = DeclineReason(DeclineClass(payment.decline_class), payment.decline_code)
    return Decline(
        decline_class=reason.decline_class, code=reason.code, message=message(reason, payment.locale)
    )


def state_of(payment: Payment, refunds: Sequence[Refund]) -> PaymentState:
    """The whole state of a payment, as events carry it."""
    currency = payment.currency
    return PaymentState(
        payment_id=payment.id,
        invoice_id=payment.invoice_id,
        user_id=payment.user_id,
        purpose=payment.purpose,
        initiator=payment.initiator,
        provider=payment.provider,
        status=PaymentStatus(payment.status),
        amount=Money(payment.amount_minor, currency),
        captured=Money(payment.captured_minor, currency),
        refunded=Money(payment.refunded_minor, currency),
        settles_invoice=payment.settles_invoice,
        late=payment.late,
        decline=decline_of(payment),
        payment_method_id=payment.payment_method_id,
        card_mask=payment.card_mask,
        refunds=[
            RefundState(
                refund_id=refund.id,
                amount=Money(refund.amount_minor, currency),
                status=refund.status,
                reason=refund.reason,
                waits_for_person=refund.waits_for_person,
                cancellation_id=refund.cancellation_id,
                refund_order_id=refund.refund_order_id,
                origin=refund.origin,
                created_at=refund.created_at,
                succeeded_at=refund.succeeded_at,
            )
            for refund in refunds
        ],
        created_at=payment.created_at,
        succeeded_at=payment.succeeded_at,
        updated_at=payment.updated_at,
    )


async def create(session: AsyncSession, payment: Payment, actor: str) -> None:
    """Writes a new payment: its row, the first line of its history, ``payment.created``."""
    session.add(payment)
    await session.flush()
    session.add(line_of_history(payment, None, actor, CREATED, None))
    await _tell(session, payment)


async def step(
    session: AsyncSession,
    payment: Payment,
    to: PaymentStatus,
    *,
    actor: str,
    reason: str,
    now: datetime,
    transaction_id: str | None = None,
    quiet: bool = False,
) -> None:
    """Takes a locked payment to its next status. Raises a broken invariant for an unlawful step.

    The UPDATE is conditional on the version that was read. ``quiet`` keeps the step from the event stream.
    """
    before = advance(payment, to, now)
    await session.flush()
    session.add(line_of_history(payment, before, actor, reason, transaction_id))
    if not quiet:
        await _tell(session, payment)


def advance(payment: Payment, to: PaymentStatus, now: datetime) -> PaymentStatus:
    """Moves the object alone and gives the status it had. Raises a broken invariant for an unlawful step."""
    before = PaymentStatus(payment.status)
    if to not in EDGES[before]:
        raise broken_invariant("unlawful-step", f"payment {payment.id} from {before} to {to}")
    payment.status = to.value
    touch(payment, now)
    if to is not PaymentStatus.ACTION_REQUIRED:
        payment.awaits_card = False
    return before


def touch(payment: Payment, now: datetime) -> None:
    """Notes the change's moment. It never goes back, or who keeps copies would take the newer state for old.

    ``now`` is often read before the payment's lock is had, and so may lie before the change before this one.
    """
    payment.updated_at = max(payment.updated_at, now)


def line_of_history(
    payment: Payment, before: PaymentStatus | None, actor: str, reason: str, transaction_id: str | None
) -> Transition:
    """The step a payment has just taken, to be written with it."""
    return Transition(
        payment_id=payment.id,
        version=payment.version,
        from_status=before.value if before else None,
        to_status=payment.status,
        actor=actor,
        reason=reason[:500],
        transaction_id=transaction_id,
        at=payment.updated_at,
    )


def events_of(payment: Payment) -> tuple[str, ...]:
    """What the world is told when a payment has come to its status."""
    return _EVENTS[PaymentStatus(payment.status)]


async def _tell(session: AsyncSession, payment: Payment) -> None:
    types = events_of(payment)
    if not types:
        return
    state = state_of(payment, await repository.refunds_of(session, payment.id))
    for event_type in types:
        await add_async(session, SOURCE, event_type, payment.id, state, payment.updated_at)


async def tell_of_refunds(session: AsyncSession, payment: Payment) -> None:
    """``payment.succeeded`` once more: the money stays, and the list of refunds says which one failed, or
    waits for a person.

    ``payment.refunded`` would be untrue: it means that money went back.
    """
    state = state_of(payment, await repository.refunds_of(session, payment.id))
    await add_async(session, SOURCE, "payment.succeeded", payment.id, state, payment.updated_at)


async def tell_method(session: AsyncSession, method: PaymentMethod, event_type: str, now: datetime) -> None:
    """``payment_method.saved`` or ``payment_method.detached``."""
    state = PaymentMethodState(
        payment_method_id=method.id,
        user_id=method.user_id,
        provider=method.provider,
        status=method.status,
        card_mask=method.card_mask,
        card_brand=method.card_brand,
        expires_month=method.expires_month,
        expires_year=method.expires_year,
        fingerprint=method.fingerprint,
        saved_by_payment_id=method.saved_by_payment_id,
        created_at=method.created_at,
        updated_at=method.updated_at,
    )
    await add_async(session, SOURCE, event_type, method.id, state, now)
