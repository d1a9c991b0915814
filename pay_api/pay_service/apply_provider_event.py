"""Takes in a provider's notification: stored once for ever, then applied; and answers Check."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Attempt, Operation, Payment, Refund, Webhook
from pay_api.pay_service.apply_receipt import apply_receipt
from pay_api.pay_service.context import Context
from pay_api.pay_service.declines import reason_of
from pay_api.pay_service.operate import end_operation
from pay_api.pay_service.payment import AttemptStatus
from pay_api.pay_service.refund_payment import adopt_refund, settle_refund, take_sent_by_person
from pay_api.pay_service.settle_attempt import Observation, settle
from pay_api.providers.base import (
    Authorized,
    Card,
    CheckAnswer,
    Declined,
    Done,
    EventKind,
    PrintedReceipt,
    ProviderEvent,
    Succeeded,
    Voided,
)
from shared import logs
from shared.ids import new_id
from shared.queue.messages.payments import PaymentStatus

# A notification may come before what it speaks of is visible here; after the last try it is an orphan.
RETRIES: Final = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(hours=1),
)
WEBHOOKS: Final = Counter("webhooks_total", "Notifications of providers", ["provider", "kind", "outcome"])

log = logs.logger(__name__)


async def store_event(ctx: Context, provider: str, event: ProviderEvent) -> UUID | None:
    """Commits the notification; None for one that came before. The token is stored encrypted only."""
    now = ctx.clock.now()
    stored = asdict(replace(event, token=None, receipt=None))
    stored["receipt"] = event.receipt.as_json() if event.receipt else None
    row = Webhook(
        id=new_id(),
        provider=provider,
        kind=event.kind.value,
        transaction_id=event.transaction_id,
        status=event.status,
        event=stored,
        token_encrypted=ctx.vault.seal(event.token) if event.token else None,
        next_try_at=now + RETRIES[0],
        received_at=now,
    )
    async with ctx.sessions.begin() as session:
        saved = await repository.store_webhook(session, row)
    if saved is None:
        WEBHOOKS.labels(provider, event.kind, "duplicate").inc()
        return None
    return saved.id


async def apply_stored_event(ctx: Context, webhook_id: UUID) -> str | None:
    """Applies a stored notification in one transaction; gives its outcome, None while it waits."""
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        row = await repository.lock_webhook(session, webhook_id)
        if row is None:
            return None
        event = _event_of(ctx, row)
        outcome = await _apply(ctx, session, row.provider, event, now)
        row.attempts += 1
        if outcome is None and row.attempts <= len(RETRIES):
            row.next_try_at = now + RETRIES[row.attempts - 1]
        else:
            row.outcome = outcome or "orphan"
            row.next_try_at, row.applied_at = None, now
            WEBHOOKS.labels(row.provider, row.kind, row.outcome).inc()
            if row.outcome in ("orphan", "review"):
                log.error("webhook-needs-a-person", webhook_id=str(row.id), outcome=row.outcome)
        return row.outcome


def _event_of(ctx: Context, row: Webhook) -> ProviderEvent:
    values: dict[str, Any] = dict(row.event)
    values["kind"] = EventKind(values["kind"])
    values["card"] = Card(**values["card"]) if values["card"] else None
    receipt = values.get("receipt")
    values["receipt"] = PrintedReceipt.from_json(receipt) if receipt else None
    values["token"] = ctx.vault.open(row.token_encrypted) if row.token_encrypted else None
    return ProviderEvent(**values)


async def _apply(
    ctx: Context, session: AsyncSession, provider: str, event: ProviderEvent, now: datetime
) -> str | None:
    """``applied``, ``ignored``, ``review``, or None: what it speaks of is not here (yet)."""
    if event.kind in (EventKind.OTHER, EventKind.CHECK):
        return "ignored"
    if event.kind is EventKind.RECEIPT:
        return await apply_receipt(session, provider, event, now)
    attempt_id = await _attempt_id(session, provider, event)
    found = await repository.attempt(session, attempt_id) if attempt_id else None
    if found is None or found.provider != provider:
        return None
    if event.kind is not EventKind.REFUNDED and found.transaction_id != event.transaction_id:
        other = await repository.attempt_by_transaction(session, provider, event.transaction_id)
        came_to_nothing = event.kind in (EventKind.FAILED, EventKind.VOIDED)
        if other is None and came_to_nothing and found.transaction_id is not None:
            return "ignored"  # that another transaction came to nothing says nothing of this attempt's
        found = other or found
    payment = await repository.lock_payment(session, found.payment_id)
    attempt = await repository.lock_attempt(session, found.id)
    assert payment is not None
    assert attempt is not None
    actor = f"{provider}:{event.kind}"
    if event.kind is EventKind.REFUNDED:
        return await _apply_refund(ctx, session, payment, attempt, event, actor, now)
    observation = _observation(event, attempt)
    if observation is None:
        return "review"
    of_ours = attempt.transaction_id in (None, event.transaction_id)
    if of_ours and event.kind in (EventKind.CAPTURED, EventKind.VOIDED):
        await _end_live_operation(session, payment, event.kind, now)
    moved = await settle(ctx, session, payment, attempt, observation, actor=actor, now=now)
    if payment.status == PaymentStatus.NEEDS_REVIEW and moved:
        return "review"
    return "applied" if moved else "ignored"


async def _attempt_id(session: AsyncSession, provider: str, event: ProviderEvent) -> UUID | None:
    if event.attempt_id is not None and event.kind is not EventKind.REFUNDED:
        try:
            return UUID(event.attempt_id)
        except ValueError:
            return None
    transaction_id = event.original_transaction_id or event.transaction_id
    attempt = await repository.attempt_by_transaction(session, provider, transaction_id)
    return attempt.id if attempt else None


def _observation(event: ProviderEvent, attempt: Attempt) -> Observation | None:
    if event.kind is EventKind.VOIDED:
        return Voided(event.transaction_id)
    if event.kind is EventKind.FAILED:
        reason = reason_of(event.reason_code) if event.reason_code is not None else None
        # A code nobody knows decides nothing; the query will tell.
        return Declined(reason, event.reason_code, event.transaction_id, event.card) if reason else None
    if event.amount_minor is None:
        return None
    kind = Authorized if event.held else Succeeded
    return kind(
        event.transaction_id,
        event.amount_minor,
        event.currency or attempt.currency,
        event.account_id,
        event.test_mode,
        event.card,
        event.token,
    )


async def _end_live_operation(
    session: AsyncSession, payment: Payment, kind: EventKind, now: datetime
) -> None:
    operation: Operation | None = await repository.live_operation(session, payment.id)
    expected = "void" if kind is EventKind.VOIDED else "capture"
    if operation is not None and operation.kind == expected:
        end_operation(operation, "succeeded", now)


async def _apply_refund(
    ctx: Context,
    session: AsyncSession,
    payment: Payment,
    attempt: Attempt,
    event: ProviderEvent,
    actor: str,
    now: datetime,
) -> str | None:
    if event.amount_minor is None or (event.currency or attempt.currency) != attempt.currency:
        return "review"
    if await repository.refund_by_transaction(session, attempt.provider, event.transaction_id) is not None:
        return "ignored"
    refunds = await repository.refunds_of(session, payment.id)
    waiting = [refund for refund in refunds if refund.status in ("processing", "unknown")]
    ours = _matching(waiting, event)
    if ours is not None:
        if ours.amount_minor != event.amount_minor:
            return "review"
        await settle_refund(ctx, session, payment, ours, Done(event.transaction_id), actor=actor, now=now)
        return "applied"
    found, refund_id = Done(event.transaction_id), event.refund_id
    if await take_sent_by_person(
        ctx, session, payment, refunds, found, event.amount_minor, refund_id=refund_id, actor=actor, now=now
    ):
        return "applied"
    if any(refund.amount_minor == event.amount_minor for refund in waiting):
        return None  # one of ours may be meant: its own answer or the register will tell
    if PaymentStatus(payment.status) in (
        PaymentStatus.PROCESSING,
        PaymentStatus.UNKNOWN,
        PaymentStatus.AUTHORIZED,
        PaymentStatus.ACTION_REQUIRED,
    ):
        return None  # the charge itself has not been heard of yet
    adopted = await adopt_refund(
        ctx, session, payment, attempt.id, event.transaction_id, event.amount_minor, actor, now
    )
    return "applied" if adopted else "review"


def _matching(waiting: list[Refund], event: ProviderEvent) -> Refund | None:
    return next((refund for refund in waiting if str(refund.id) == event.refund_id), None)


async def answer_check(ctx: Context, provider: str, event: ProviderEvent) -> CheckAnswer:
    """Whether the provider may authorise now, from the real state of the attempt; writes nothing."""
    async with ctx.sessions() as session:
        try:
            attempt = await repository.attempt(session, UUID(event.attempt_id or ""))
        except ValueError:
            attempt = None
        if attempt is None or attempt.provider != provider:
            return CheckAnswer.UNKNOWN_ATTEMPT
        payment = await repository.payment(session, attempt.payment_id)
    assert payment is not None
    if event.account_id not in (None, str(payment.user_id)):
        return CheckAnswer.WRONG_ACCOUNT
    if event.amount_minor != attempt.amount_minor or (event.currency or attempt.currency) != attempt.currency:
        return CheckAnswer.WRONG_AMOUNT
    if attempt.expires_at is not None and attempt.expires_at <= ctx.clock.now():
        return CheckAnswer.EXPIRED
    awaited = (AttemptStatus.STARTED, AttemptStatus.CHALLENGE, AttemptStatus.UNKNOWN)
    return CheckAnswer.GO if attempt.status in awaited else CheckAnswer.NOT_ACCEPTED
