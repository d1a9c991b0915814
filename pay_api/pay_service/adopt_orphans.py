"""Takes in money the provider has and we do not know of: lost rows are made again from its register."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api import repository
from pay_api.models import Attempt, Payment
from pay_api.pay_service import transitions
from pay_api.pay_service.context import Context
from pay_api.pay_service.payment import AttemptStatus
from pay_api.pay_service.refund_payment import adopt_refund, settle_refund, take_sent_by_person
from pay_api.pay_service.settle_attempt import settle
from pay_api.providers.base import Authorized, Done, RefundFound, RegisterRow, Succeeded
from pay_api.vault import Payer
from shared import logs
from shared.queue.messages.payments import PaymentStatus

ACTOR: Final = "register"
ADOPTED: Final = Counter("orphans_total", "Operations found at the provider alone", ["kind", "adopted"])

log = logs.logger(__name__)


async def adopt_orphan(ctx: Context, provider: str, row: RegisterRow) -> bool:
    """True when our books now tell of this money; False leaves it to a person. Safe to repeat.

    A charge is recognised by our ids in it (InvoiceId and JsonData) and settled like any other news of
    the provider; a refund by the charge it belongs to.
    """
    now = ctx.clock.now()
    async with ctx.sessions.begin() as session:
        if row.refund is not None:
            adopted = await _adopt_refund(ctx, session, provider, row.refund, now)
        elif row.paid is not None:
            adopted = await _adopt_charge(ctx, session, provider, row, row.paid, now)
        else:
            adopted = False
    kind = "refund" if row.refund is not None else "charge"
    ADOPTED.labels(kind, str(adopted).lower()).inc()
    say = log.warning if adopted else log.error
    say("orphan-found", provider=provider, transaction_id=row.transaction_id, adopted=adopted)
    return adopted


async def _adopt_charge(
    ctx: Context,
    session: AsyncSession,
    provider: str,
    row: RegisterRow,
    paid: Succeeded | Authorized,
    now: datetime,
) -> bool:
    if row.attempt_id is None:
        return False  # nothing of ours is in it
    known = await repository.attempt_by_transaction(session, provider, row.transaction_id)
    known = known or await repository.attempt(session, row.attempt_id)
    if known is not None:
        payment = await repository.lock_payment(session, known.payment_id)
        attempt = await repository.lock_attempt(session, known.id)
    else:
        payment = await _payment_of(ctx, session, provider, row, paid, now)
        if payment is None or await repository.live_attempt(session, payment.id) is not None:
            return False  # its money stands beside another attempt's
        attempt = await _restored_attempt(session, payment, row.attempt_id, now, ctx)
    assert payment is not None
    assert attempt is not None
    return await settle(ctx, session, payment, attempt, paid, actor=ACTOR, now=now)


async def _payment_of(
    ctx: Context,
    session: AsyncSession,
    provider: str,
    row: RegisterRow,
    paid: Succeeded | Authorized,
    now: datetime,
) -> Payment | None:
    """The locked payment the charge names, made again when the database lost it."""
    if row.payment_id is None:
        return None
    invoice = await repository.lock_invoice(session, row.invoice_id, now) if row.invoice_id else None
    payment = await repository.lock_payment(session, row.payment_id)
    if payment is not None:
        return payment if payment.provider == provider else None
    user_id = _uuid(paid.account_id)
    if invoice is None or user_id is None:
        return None
    rival = await repository.live_payment_of_invoice(session, invoice.invoice_id)
    payment = _lost_payment(ctx, provider, row, paid, user_id, now)
    payment.late = invoice.closed_at is not None
    payment.duplicate = rival is not None
    await transitions.create(session, payment, ACTOR)
    return payment


def _lost_payment(
    ctx: Context,
    provider: str,
    row: RegisterRow,
    paid: Succeeded | Authorized,
    user_id: UUID,
    now: datetime,
) -> Payment:
    return Payment(
        id=row.payment_id,
        invoice_id=row.invoice_id,
        user_id=user_id,
        purpose="invoice",
        initiator="customer",
        provider=provider,
        status=PaymentStatus.CREATED.value,
        amount_minor=paid.amount_minor,
        currency=paid.currency,
        capture="manual" if isinstance(paid, Authorized) else "automatic",
        method_kind="card_cryptogram",
        save_method=False,
        description=row.description,
        locale="ru",
        payer_encrypted=ctx.vault.seal_payer(Payer(None, None)),
        receipt={"lines": []},
        caller=ACTOR,
        created_at=row.created_at,
        updated_at=now,
    )


async def _restored_attempt(
    session: AsyncSession, payment: Payment, attempt_id: UUID, now: datetime, ctx: Context
) -> Attempt:
    waits = payment.status == PaymentStatus.CREATED
    attempt = Attempt(
        id=attempt_id,
        payment_id=payment.id,
        status=AttemptStatus.STARTED if waits else AttemptStatus.CLOSED,
        provider=payment.provider,
        terminal_id=ctx.providers[payment.provider].terminal_id,
        payment_method_id=payment.payment_method_id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        first_sent_at=now,
        last_sent_at=now,
        created_at=now,
    )
    session.add(attempt)
    payment.next_charge_at = None
    await session.flush()
    if waits:
        await transitions.step(
            session,
            payment,
            PaymentStatus.PROCESSING,
            actor=ACTOR,
            reason="a lost attempt was found at the provider",
            now=now,
        )
    return attempt


async def _adopt_refund(
    ctx: Context, session: AsyncSession, provider: str, found: RefundFound, now: datetime
) -> bool:
    attempt = await repository.attempt_by_transaction(session, provider, found.original_transaction_id)
    if attempt is None:
        return False
    payment = await repository.lock_payment(session, attempt.payment_id)
    assert payment is not None
    if await repository.refund_by_transaction(session, provider, found.transaction_id) is not None:
        return True
    refunds = await repository.refunds_of(session, payment.id)
    waiting = [refund for refund in refunds if refund.status in ("processing", "unknown")]
    ours = next((refund for refund in waiting if refund.id == found.refund_id), None)
    if ours is not None and ours.amount_minor == found.amount_minor:
        await settle_refund(ctx, session, payment, ours, Done(found.transaction_id), actor=ACTOR, now=now)
        return True
    done, refund_id = Done(found.transaction_id), str(found.refund_id) if found.refund_id else None
    if await take_sent_by_person(
        ctx, session, payment, refunds, done, found.amount_minor, refund_id=refund_id, actor=ACTOR, now=now
    ):
        return True
    if ours is not None or any(refund.amount_minor == found.amount_minor for refund in waiting):
        return False  # one of ours may be meant: the ladder settles it
    return await adopt_refund(
        ctx, session, payment, attempt.id, found.transaction_id, found.amount_minor, ACTOR, now
    )


def _uuid(value: str | None) -> UUID | None:
    try:
        return UUID(value or "")
    except ValueError:
        return None
