"""Applies what was learned about an attempt, from whichever source, to its payment; nobody else does."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Attempt, ErasedCustomer, Payment, PaymentMethod
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.declines import PROVIDER_UNAVAILABLE, DeclineReason
from pay_api.pay_service.expected_receipts import expect_income
from pay_api.pay_service.ladder import THREEDS_LIFETIME, next_query_at
from pay_api.pay_service.payment import (
    ATTEMPT_AFTER,
    AttemptStatus,
    Decision,
    Move,
    Seen,
    decide,
    decide_ended,
)
from pay_api.pay_service.second_charge import ENDED_MONEY, record_second_charge, stands_beside, told_of
from pay_api.providers.base import (
    ActionRequired,
    Authorized,
    Card,
    ChargeOutcome,
    Declined,
    NotExecuted,
    Paid,
    PayerInstructed,
    Succeeded,
    Unknown,
    Voided,
)
from shared import logs
from shared.ids import new_id
from shared.queue.messages.payments import PaymentStatus

Observation = ChargeOutcome | Voided
MISMATCH: Final = "mismatch: "
# The provider gives a hold back after this time; our clock does not wait to be told.
HOLD_LIFETIME: Final = timedelta(days=7)
_ENDED: Final = frozenset({AttemptStatus.DECLINED, AttemptStatus.CLOSED})
SETTLED: Final = Counter("payments_settled_total", "Steps of payments", ["status", "late", "decline_class"])
ALARMS: Final = Counter("payment_observations_contradicted_total", "Observations against what is known")

log = logs.logger(__name__)


def mismatch_of(ctx: Context, payment: Payment, attempt: Attempt, paid: Paid) -> str | None:
    """In what the moved money differs from what we asked for, or None."""
    if attempt.transaction_id is not None and attempt.transaction_id != paid.transaction_id:
        return f"another transaction of the same attempt ({paid.transaction_id})"
    if paid.currency != attempt.currency:
        return "currency"
    if paid.account_id is not None and paid.account_id != str(payment.user_id):
        return "account"
    held_before = attempt.status == AttemptStatus.AUTHORIZED and isinstance(paid, Succeeded)
    # A hold may be captured in part; everything else is exactly what was asked.
    if paid.amount_minor != attempt.amount_minor and not (
        held_before and 0 < paid.amount_minor < attempt.amount_minor
    ):
        return "amount"
    if ctx.providers[attempt.provider].refuses(test_mode=paid.test_mode):
        return "test money"
    return None


def _seen(observation: Observation) -> tuple[Seen, str]:
    match observation:
        case Succeeded():
            return Seen.SUCCEEDED, "charged"
        case Authorized():
            return Seen.AUTHORIZED, "held"
        case Declined(reason, code):
            return Seen.DECLINED, f"declined: {reason.code}" + (f" ({code})" if code else "")
        case ActionRequired():
            return Seen.CHALLENGED, "3-D Secure"
        case PayerInstructed():
            return Seen.CHALLENGED, "the payer was told how to pay"
        case Voided():
            return Seen.VOIDED, "voided"
        case NotExecuted(why):
            return Seen.NO_EFFECT, f"not executed: {why}"
        case Unknown(why):
            return Seen.UNKNOWN, f"no verdict: {why}"


def judge(
    ctx: Context, payment: Payment, attempt: Attempt, observation: Observation
) -> tuple[Seen, str, Decision]:
    """What the observation says, in words for the history too, and what follows for the payment."""
    seen, reason = _seen(observation)
    if isinstance(observation, Paid):
        difference = mismatch_of(ctx, payment, attempt, observation)
        if difference is not None:
            seen, reason = Seen.MISMATCH, f"{MISMATCH}{difference}"
    return seen, reason, _decide(payment, attempt, seen)


async def settle(
    ctx: Context,
    session: AsyncSession,
    payment: Payment,
    attempt: Attempt,
    observation: Observation,
    *,
    actor: str,
    now: datetime,
) -> bool:
    """Moves the locked payment and attempt when the observation says so; True when our books have changed."""
    seen, reason, decision = judge(ctx, payment, attempt, observation)
    is_over = _is_over(payment, attempt)
    if isinstance(observation, Paid) and stands_beside(
        ctx, payment, attempt, observation, attempt_is_over=is_over
    ):
        if seen is not Seen.MISMATCH:
            reason = f"{MISMATCH}money of another attempt ({observation.transaction_id})"
        return await record_second_charge(
            session, payment, attempt, observation, reason=reason, actor=actor, now=now
        )
    before = PaymentStatus(payment.status)
    if not isinstance(decision, Move):
        if decision.alarming:
            ALARMS.inc()
            log.error("observation-contradicts", payment_id=str(payment.id), seen=seen, status=before)
        elif isinstance(observation, Paid) and seen is not Seen.MISMATCH:
            await _keep_method(ctx, session, payment, attempt, observation, now)
        return False
    if decision.late:
        await mark_late(session, payment)
    if decision.to is PaymentStatus.NEEDS_REVIEW and is_over and isinstance(observation, Paid):
        # Another attempt is at work: this one's row keeps its end, a person decides what the money is for.
        reason = f"{ENDED_MONEY}: {told_of(attempt.id, observation.transaction_id)}"
        payment.review_reason, payment.expires_at = reason, None
        attempt.transaction_id = attempt.transaction_id or observation.transaction_id
    else:
        write_outcome(payment, attempt, observation, decision.to, reason, now)
    if isinstance(observation, Paid) and seen is not Seen.MISMATCH:
        await _keep_method(ctx, session, payment, attempt, observation, now)
    await transitions.step(
        session,
        payment,
        decision.to,
        actor=actor,
        reason=reason,
        now=now,
        transaction_id=attempt.transaction_id,
    )
    expect_income(ctx, session, payment, now)
    show_move(payment, decision, actor)
    return True


def show_move(payment: Payment, move: Move, actor: str) -> None:
    """Counts and logs a step that an observation brought about."""
    SETTLED.labels(move.to, str(move.late).lower(), payment.decline_class or "").inc()
    log.info("payment-moved", payment_id=str(payment.id), status=move.to, actor=actor)


def _is_over(payment: Payment, attempt: Attempt) -> bool:
    """Whether the payment went on without this attempt: only in the hosted checkout."""
    return is_hosted(payment) and attempt.status in _ENDED


def is_hosted(payment: Payment) -> bool:
    return payment.method_kind == "hosted"


def _decide(payment: Payment, attempt: Attempt, seen: Seen) -> Decision:
    status = PaymentStatus(payment.status)
    frozen = (payment.review_reason or "").startswith(MISMATCH)
    if _is_over(payment, attempt) and not (frozen and status is PaymentStatus.NEEDS_REVIEW):
        return decide_ended(status, seen, awaits_card=payment.awaits_card)
    voided = attempt.voided_at is not None
    return decide(status, seen, voided=voided, frozen=frozen, reopens=is_hosted(payment))


def status_after_decline(payment: Payment) -> PaymentStatus:
    """Where a payment goes when its attempt came to nothing: a hosted one waits for another card."""
    payment.awaits_card = is_hosted(payment)
    return PaymentStatus.ACTION_REQUIRED if payment.awaits_card else PaymentStatus.FAILED


async def mark_late(session: AsyncSession, payment: Payment) -> None:
    """Money of a payment whose invoice had been closed, or had ended."""
    payment.late = True
    if payment.invoice_id is not None:
        with session.no_autoflush:
            other = await repository.live_payment_of_invoice(session, payment.invoice_id, but=payment.id)
        # The invoice already has its payment: this money stands beside it, for BillingAPI to decide on.
        payment.duplicate = other is not None


def write_outcome(
    payment: Payment,
    attempt: Attempt,
    observation: Observation,
    to: PaymentStatus,
    reason: str,
    now: datetime,
) -> None:
    """Puts what was learned into the two objects; the step itself is taken after it."""
    attempt.status = ATTEMPT_AFTER[to]
    transaction_id = getattr(observation, "transaction_id", None)
    if attempt.transaction_id is None and transaction_id is not None:
        attempt.transaction_id = transaction_id
    payment.review_reason = reason if to is PaymentStatus.NEEDS_REVIEW else None
    attempt.next_query_at = None
    attempt.ended_at = None if to in _OPEN else now
    payment.awaits_card = False
    match observation:
        case Paid() as paid:
            payment.decline_class = payment.decline_code = None
            _show_card(payment, paid.card)
        case Declined(decline, code, _, card):
            attempt.reason_code = code
            attempt.status, attempt.ended_at = AttemptStatus.DECLINED, now
            payment.awaits_card = to is PaymentStatus.ACTION_REQUIRED
            set_decline(payment, decline)
            _show_card(payment, card)
        case ActionRequired(_, acs_url, pa_req):
            attempt.acs_url, attempt.pa_req = acs_url, pa_req
            attempt.expires_at = attempt.next_query_at = now + THREEDS_LIFETIME
        case PayerInstructed(_, instructions, valid_for):
            payment.instructions, payment.expires_at = dict(instructions), now + valid_for
        case NotExecuted():
            attempt.status, attempt.ended_at = AttemptStatus.CLOSED, now
            payment.awaits_card = to is PaymentStatus.ACTION_REQUIRED
            set_decline(payment, PROVIDER_UNAVAILABLE)
        case Voided():
            attempt.voided_at = now
        case Unknown():
            attempt.next_query_at = next_query_at(attempt.first_sent_at, now)
    if to is PaymentStatus.AUTHORIZED:
        # A card that is only being checked is given its hold back at once.
        payment.expires_at = now if payment.purpose == "method_verification" else now + HOLD_LIFETIME
    if isinstance(observation, Succeeded) and to is PaymentStatus.SUCCEEDED:
        payment.expires_at = None
        payment.captured_minor = observation.amount_minor
        payment.succeeded_at = now


_OPEN: Final = frozenset(
    {
        PaymentStatus.ACTION_REQUIRED,
        PaymentStatus.AUTHORIZED,
        PaymentStatus.UNKNOWN,
        PaymentStatus.NEEDS_REVIEW,
    }
)


def set_decline(payment: Payment, reason: DeclineReason) -> None:
    payment.decline_class, payment.decline_code = reason.decline_class, reason.code


def _show_card(payment: Payment, card: Card | None) -> None:
    if card is not None:
        payment.card_mask, payment.card_brand = card.mask, card.brand


def card_to_save(payment: Payment, attempt: Attempt, paid: Paid) -> Card | None:
    """The card, if the payer asked for it, the provider gave a token, and it was not saved before."""
    asked = attempt.save_method and payment.payment_method_id is None
    return paid.card if asked and paid.token is not None else None


async def _keep_method(
    ctx: Context, session: AsyncSession, payment: Payment, attempt: Attempt, paid: Paid, now: datetime
) -> None:
    """Saves the card when it is to be saved."""
    card = card_to_save(payment, attempt, paid)
    if card is None or paid.token is None:
        return
    with session.no_autoflush:
        if await session.get(ErasedCustomer, payment.user_id) is not None:
            return  # told too late: the customer has had everything erased meanwhile
    method = PaymentMethod(
        id=new_id(),
        user_id=payment.user_id,
        provider=attempt.provider,
        terminal_id=attempt.terminal_id,
        token_encrypted=ctx.vault.seal(paid.token),
        fingerprint=ctx.vault.fingerprint(
            card.first_six, card.last_four, card.expires_month, card.expires_year
        ),
        card_mask=card.mask,
        card_brand=card.brand,
        expires_month=card.expires_month,
        expires_year=card.expires_year,
        status="active",
        saved_by_payment_id=payment.id,
        created_at=now,
        updated_at=now,
    )
    with session.no_autoflush:
        saved = await repository.upsert_method(session, method, now)
        await transitions.tell_method(session, saved, "payment_method.saved", now)
    payment.payment_method_id = saved.id
    transitions.touch(payment, now)
