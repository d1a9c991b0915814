"""Money a provider took once more for a payment: a payment of its own stands for it, under review.

The first payment keeps its status, its success and what it bought (docs/decisions/0016).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Attempt, Payment, SecondCharge
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.payment import AttemptStatus
from pay_api.providers.base import Authorized, Paid
from shared import logs
from shared.ids import new_id
from shared.queue.messages.payments import PaymentStatus

# Money or a hold of the first payment is certain, or a person looks at it already.
_SETTLED: Final = frozenset(
    {
        PaymentStatus.AUTHORIZED,
        PaymentStatus.SUCCEEDED,
        PaymentStatus.PARTIALLY_REFUNDED,
        PaymentStatus.REFUNDED,
        PaymentStatus.NEEDS_REVIEW,
    }
)
ENDED_MONEY: Final = "mismatch: money of an attempt that had ended"
SECOND_CHARGES: Final = Counter("payment_second_charges_total", "Money taken twice for one payment", ["held"])

log = logs.logger(__name__)


def told_of(attempt_id: UUID, transaction_id: str) -> str:
    """How a review's reason names the money of an attempt that had ended."""
    return f"{attempt_id} ({transaction_id})"


def is_of_ended(reason: str | None) -> bool:
    """Whether a review is about the money of an attempt that had ended while another was at work."""
    return (reason or "").startswith(ENDED_MONEY)


def names(reason: str | None, transaction_id: str) -> bool:
    """Whether a review is about this transaction."""
    return f"({transaction_id})" in (reason or "")


def stands_beside(
    ctx: Context, payment: Payment, attempt: Attempt, paid: Paid, *, attempt_is_over: bool
) -> bool:
    """Whether this money is another one than the payment's, whose own fate is known.

    ``attempt_is_over``: the payment went on without this attempt. While the money of such a one is under
    review, what the attempt at work takes is another money, too.
    """
    another = attempt_is_over or is_of_ended(payment.review_reason)
    return (
        (another or attempt.transaction_id not in (None, paid.transaction_id))
        and payment.status in _SETTLED
        and not names(payment.review_reason, paid.transaction_id)
        and not ctx.providers[attempt.provider].refuses(test_mode=paid.test_mode)
        # The hold of a card check ends by itself.
        and not (payment.purpose == "method_verification" and isinstance(paid, Authorized))
    )


async def record_second_charge(
    session: AsyncSession,
    first: Payment,
    attempt: Attempt,
    paid: Paid,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> bool:
    """Under the first payment's lock. False when this money has its payment already."""
    with session.no_autoflush:
        known = await repository.attempt_by_transaction(session, attempt.provider, paid.transaction_id)
    if known is not None and known.id != attempt.id:
        return False
    if known is not None:
        attempt.transaction_id = None  # it is the second payment's now: refunds of it look there
        await session.flush()
    second = _payment_for(first, paid, actor, now)
    second.review_reason = f"{reason} of payment {first.id}"
    await transitions.create(session, second, actor)
    session.add(_attempt_for(second, attempt, paid, now))
    session.add(
        SecondCharge(
            id=second.id,
            first_payment_id=first.id,
            first_attempt_id=attempt.id,
            transaction_id=paid.transaction_id,
            amount_minor=paid.amount_minor,
            currency=paid.currency,
            found_by=actor,
            found_at=now,
        )
    )
    await transitions.step(
        session,
        second,
        PaymentStatus.NEEDS_REVIEW,
        actor=actor,
        reason=second.review_reason,
        now=now,
        transaction_id=paid.transaction_id,
    )
    SECOND_CHARGES.labels(str(isinstance(paid, Authorized)).lower()).inc()
    log.error(
        "second-charge",
        payment_id=str(first.id),
        second_payment_id=str(second.id),
        transaction_id=paid.transaction_id,
        amount_minor=paid.amount_minor,
    )
    return True


def _payment_for(first: Payment, paid: Paid, actor: str, now: datetime) -> Payment:
    return Payment(
        id=new_id(),
        invoice_id=first.invoice_id,
        user_id=first.user_id,
        purpose=first.purpose,
        initiator=first.initiator,
        provider=first.provider,
        status=PaymentStatus.CREATED.value,
        amount_minor=paid.amount_minor,
        currency=paid.currency,
        capture="manual" if isinstance(paid, Authorized) else "automatic",
        # It stands beside the first and never holds the invoice.
        late=True,
        duplicate=True,
        method_kind=first.method_kind,
        save_method=False,
        card_mask=first.card_mask,
        card_brand=first.card_brand,
        description=first.description,
        locale=first.locale,
        payer_encrypted=first.payer_encrypted,
        receipt=first.receipt,
        caller=actor,
        created_at=now,
        updated_at=now,
    )


def _attempt_for(second: Payment, first: Attempt, paid: Paid, now: datetime) -> Attempt:
    return Attempt(
        id=new_id(),
        payment_id=second.id,
        status=AttemptStatus.UNKNOWN,
        provider=first.provider,
        terminal_id=first.terminal_id,
        amount_minor=second.amount_minor,
        currency=second.currency,
        transaction_id=paid.transaction_id,
        first_sent_at=now,
        last_sent_at=now,
        created_at=now,
    )
