"""Every query over the database `pay`; locks are always taken invoice, payment, attempt, method."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from pay_api.models import (
    Attempt,
    FiscalReceipt,
    Operation,
    Payment,
    PaymentInvoice,
    PaymentMethod,
    Refund,
    SecondCharge,
    Webhook,
)
from pay_api.pay_service.payment import LIVE, AttemptStatus

_LIVE_ATTEMPTS = (
    AttemptStatus.STARTED,
    AttemptStatus.CHALLENGE,
    AttemptStatus.AUTHORIZED,
    AttemptStatus.SUCCEEDED,
    AttemptStatus.UNKNOWN,
)


async def lock_invoice(session: AsyncSession, invoice_id: UUID, now: datetime) -> PaymentInvoice:
    """The invoice's row, made when it is new, locked until the transaction ends."""
    await session.execute(
        insert(PaymentInvoice).values(invoice_id=invoice_id, created_at=now).on_conflict_do_nothing()
    )
    found = await session.execute(
        select(PaymentInvoice).where(PaymentInvoice.invoice_id == invoice_id).with_for_update()
    )
    return found.scalar_one()


async def payment(session: AsyncSession, payment_id: UUID) -> Payment | None:
    return await session.get(Payment, payment_id)


async def lock_payment(session: AsyncSession, payment_id: UUID) -> Payment | None:
    """The payment as it is now, locked."""
    found = await session.execute(
        select(Payment)
        .where(Payment.id == payment_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.scalar_one_or_none()


async def live_payment_of_invoice(
    session: AsyncSession, invoice_id: UUID, but: UUID | None = None
) -> Payment | None:
    """The payment that holds the invoice, if there is one."""
    query = select(Payment).where(
        Payment.invoice_id == invoice_id,
        Payment.status.in_([status.value for status in LIVE]),
        Payment.settles_invoice,
        ~Payment.duplicate,
    )
    if but is not None:
        query = query.where(Payment.id != but)
    return (await session.execute(query)).scalars().first()


async def lock_live_payments(session: AsyncSession, invoice_id: UUID) -> Sequence[Payment]:
    found = await session.execute(
        select(Payment)
        .where(Payment.invoice_id == invoice_id, Payment.status.in_([status.value for status in LIVE]))
        .order_by(Payment.id)
        .with_for_update()
    )
    return found.scalars().all()


async def claim_queued(session: AsyncSession, now: datetime, but: Sequence[str] = ()) -> Payment | None:
    """One merchant-initiated payment whose turn has come; other workers pass it by.

    ``but``: providers that take nothing just now; their payments wait as they are.
    """
    found = await session.execute(
        select(Payment)
        .where(Payment.status == "created", Payment.initiator == "merchant", Payment.next_charge_at <= now)
        .where(Payment.provider.not_in(but))
        .order_by(Payment.next_charge_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return found.scalar_one_or_none()


async def lock_attempt(session: AsyncSession, attempt_id: UUID) -> Attempt | None:
    found = await session.execute(
        select(Attempt)
        .where(Attempt.id == attempt_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.scalar_one_or_none()


async def attempt(session: AsyncSession, attempt_id: UUID) -> Attempt | None:
    return await session.get(Attempt, attempt_id)


async def live_attempt(session: AsyncSession, payment_id: UUID) -> Attempt | None:
    """The attempt at work or won, locked."""
    found = await session.execute(
        select(Attempt)
        .where(Attempt.payment_id == payment_id, Attempt.status.in_(_LIVE_ATTEMPTS))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.scalar_one_or_none()


async def last_attempt(session: AsyncSession, payment_id: UUID) -> Attempt | None:
    """The newest attempt, ended or not, locked."""
    found = await session.execute(
        select(Attempt)
        .where(Attempt.payment_id == payment_id)
        .order_by(Attempt.created_at.desc(), Attempt.id.desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.scalar_one_or_none()


async def last_challenge(session: AsyncSession, payment_id: UUID) -> str | None:
    """The transaction of the payment's newest 3-D Secure, ended or not."""
    found: str | None = await session.scalar(
        select(Attempt.transaction_id)
        .where(Attempt.payment_id == payment_id, Attempt.acs_url.is_not(None))
        .order_by(Attempt.created_at.desc(), Attempt.id.desc())
        .limit(1)
    )
    return found


async def lock_attempts(session: AsyncSession, payment_id: UUID) -> Sequence[Attempt]:
    """All attempts of a payment, oldest first, locked."""
    found = await session.execute(
        select(Attempt)
        .where(Attempt.payment_id == payment_id)
        .order_by(Attempt.created_at, Attempt.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.scalars().all()


async def count_attempts(session: AsyncSession, payment_id: UUID) -> int:
    found = await session.scalar(
        select(func.count()).select_from(Attempt).where(Attempt.payment_id == payment_id)
    )
    return found or 0


async def expired_payments(session: AsyncSession, now: datetime, limit: int) -> Sequence[UUID]:
    """Waits and holds whose time has come."""
    found = await session.execute(
        select(Payment.id)
        # Literal, so that the partial index serves every plan.
        .where(text("payment.status IN ('action_required', 'authorized')"), Payment.expires_at <= now)
        .order_by(Payment.expires_at)
        .limit(limit)
    )
    return found.scalars().all()


async def attempt_by_transaction(session: AsyncSession, provider: str, transaction_id: str) -> Attempt | None:
    found = await session.execute(
        select(Attempt).where(Attempt.provider == provider, Attempt.transaction_id == transaction_id)
    )
    return found.scalar_one_or_none()


async def refunds_of(session: AsyncSession, payment_id: UUID) -> Sequence[Refund]:
    found = await session.execute(
        select(Refund).where(Refund.payment_id == payment_id).order_by(Refund.created_at, Refund.id)
    )
    return found.scalars().all()


async def refund_by(
    session: AsyncSession, *, cancellation_id: UUID | None = None, refund_order_id: UUID | None = None
) -> Refund | None:
    query = select(Refund)
    if cancellation_id is not None:
        query = query.where(Refund.cancellation_id == cancellation_id)
    else:
        query = query.where(Refund.refund_order_id == refund_order_id)
    return (await session.execute(query)).scalar_one_or_none()


async def refund_by_transaction(session: AsyncSession, provider: str, transaction_id: str) -> Refund | None:
    found = await session.execute(
        select(Refund).where(Refund.provider == provider, Refund.transaction_id == transaction_id)
    )
    return found.scalar_one_or_none()


async def live_operation(session: AsyncSession, payment_id: UUID) -> Operation | None:
    """The capture or void at work, if any."""
    found = await session.execute(
        select(Operation).where(
            Operation.payment_id == payment_id, Operation.status.in_(["started", "unknown"])
        )
    )
    return found.scalar_one_or_none()


async def list_payments(
    session: AsyncSession,
    *,
    user_id: UUID | None,
    invoice_id: UUID | None,
    status: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Payment]:
    """Newest first, one more than ``limit``."""
    query = select(Payment)
    if user_id is not None:
        query = query.where(Payment.user_id == user_id)
    if invoice_id is not None:
        query = query.where(Payment.invoice_id == invoice_id)
    if status is not None:
        query = query.where(Payment.status == status)
    if before is not None:
        query = query.where(tuple_(Payment.created_at, Payment.id) < tuple_(*before))
    query = query.order_by(Payment.created_at.desc(), Payment.id.desc()).limit(limit + 1)
    return (await session.execute(query)).scalars().all()


async def refunds_of_all(session: AsyncSession, payment_ids: Sequence[UUID]) -> dict[UUID, list[Refund]]:
    found = await session.execute(
        select(Refund).where(Refund.payment_id.in_(payment_ids)).order_by(Refund.created_at, Refund.id)
    )
    grouped: dict[UUID, list[Refund]] = {payment_id: [] for payment_id in payment_ids}
    for refund in found.scalars():
        grouped[refund.payment_id].append(refund)
    return grouped


async def receipts_of(session: AsyncSession, *payment_ids: UUID) -> Sequence[FiscalReceipt]:
    """Fiscal receipts, printed or awaited, in the order of their money."""
    found = await session.execute(
        select(FiscalReceipt)
        .where(FiscalReceipt.payment_id.in_(payment_ids))
        .order_by(FiscalReceipt.created_at, FiscalReceipt.id)
    )
    return found.scalars().all()


async def second_charges_of(session: AsyncSession, *payment_ids: UUID) -> Sequence[SecondCharge]:
    """Those whose first or second payment is one of these."""
    found = await session.execute(
        select(SecondCharge)
        .where(or_(SecondCharge.first_payment_id.in_(payment_ids), SecondCharge.id.in_(payment_ids)))
        .order_by(SecondCharge.found_at, SecondCharge.id)
    )
    return found.scalars().all()


async def orphan_receipts(
    session: AsyncSession, provider: str, transaction_id: str, attempt_id: UUID
) -> Sequence[Webhook]:
    """Given up notifications of receipts that name this transaction, or this attempt and none, locked."""
    found = await session.execute(
        select(Webhook)
        .where(Webhook.provider == provider, Webhook.kind == "receipt", Webhook.outcome == "orphan")
        .where(
            or_(
                Webhook.transaction_id == transaction_id,
                (Webhook.transaction_id == "") & (Webhook.event["attempt_id"].astext == str(attempt_id)),
            ),
            Webhook.transaction_id.in_(["", transaction_id]),
        )
        .with_for_update(skip_locked=True)
    )
    return found.scalars().all()


async def due_receipts(session: AsyncSession, now: datetime, limit: int) -> Sequence[UUID]:
    found = await session.execute(
        select(FiscalReceipt.id)
        .where(FiscalReceipt.next_look_at <= now)
        .order_by(FiscalReceipt.next_look_at)
        .limit(limit)
    )
    return found.scalars().all()


async def active_methods(
    session: AsyncSession, user_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[PaymentMethod]:
    """Oldest first, one more than ``limit``."""
    query = select(PaymentMethod).where(PaymentMethod.user_id == user_id, PaymentMethod.status == "active")
    if after is not None:
        query = query.where(tuple_(PaymentMethod.created_at, PaymentMethod.id) > tuple_(*after))
    query = query.order_by(PaymentMethod.created_at, PaymentMethod.id).limit(limit + 1)
    return (await session.execute(query)).scalars().all()


async def method_for_charge(session: AsyncSession, method_id: UUID) -> PaymentMethod | None:
    """The method under a share lock: it cannot be detached before this transaction ends."""
    found = await session.execute(
        select(PaymentMethod)
        .where(PaymentMethod.id == method_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )
    return found.scalar_one_or_none()


async def lock_method(session: AsyncSession, method_id: UUID) -> PaymentMethod | None:
    found = await session.execute(
        select(PaymentMethod)
        .where(PaymentMethod.id == method_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.scalar_one_or_none()


async def charges_at_work(session: AsyncSession, method_id: UUID) -> bool:
    """Whether a call with the method's token may be going out this moment."""
    found = await session.execute(
        select(Attempt.id)
        .where(Attempt.payment_method_id == method_id, Attempt.status == AttemptStatus.STARTED)
        .limit(1)
    )
    return found.first() is not None


async def upsert_method(session: AsyncSession, method: PaymentMethod, now: datetime) -> PaymentMethod:
    """Saves a card, or renews the token of the same card of the same user; gives the row as stored.

    It names the payment that saved it last: UserAPI settles the consent given with that payment by it.
    """
    table = PaymentMethod.__table__
    values = {
        column.name: getattr(method, column.name) for column in table.columns if column.name != "detached_at"
    }
    statement = insert(PaymentMethod).values(**values)
    statement = statement.on_conflict_do_update(
        index_elements=["user_id", "provider", "terminal_id", "fingerprint"],
        # Literal: a parameter here matches the partial index only until Postgres makes a generic plan.
        index_where=text("status = 'active'"),
        set_={
            "token_encrypted": method.token_encrypted,
            "saved_by_payment_id": method.saved_by_payment_id,
            "updated_at": now,
        },
    )
    saved = await session.execute(
        statement.returning(PaymentMethod), execution_options={"populate_existing": True}
    )
    return saved.scalar_one()


async def store_webhook(session: AsyncSession, webhook: Webhook) -> Webhook | None:
    """Stores a notification once for ever; None when the same one was stored before (it is counted)."""
    key = ["provider", "kind", "transaction_id", "status"]
    statement = insert(Webhook).values(
        id=webhook.id,
        provider=webhook.provider,
        kind=webhook.kind,
        transaction_id=webhook.transaction_id,
        status=webhook.status,
        event=webhook.event,
        token_encrypted=webhook.token_encrypted,
        attempts=0,
        duplicates=0,
        next_try_at=webhook.next_try_at,
        received_at=webhook.received_at,
    )
    statement = statement.on_conflict_do_update(
        index_elements=key, set_={"duplicates": Webhook.duplicates + 1}
    )
    saved = (await session.execute(statement.returning(Webhook))).scalar_one()
    return saved if saved.id == webhook.id else None


async def lock_webhook(session: AsyncSession, webhook_id: UUID) -> Webhook | None:
    """A notification nobody has applied yet.

    It waits for the lock: a repeat that is only being counted holds it for a moment, and skipping the row
    then would leave the payment to the worker's next look.
    """
    found = await session.execute(
        select(Webhook).where(Webhook.id == webhook_id, Webhook.outcome.is_(None)).with_for_update()
    )
    return found.scalar_one_or_none()


async def due_webhooks(session: AsyncSession, now: datetime, limit: int) -> Sequence[UUID]:
    found = await session.execute(
        select(Webhook.id)
        .where(Webhook.outcome.is_(None), Webhook.next_try_at <= now)
        .order_by(Webhook.next_try_at)
        .limit(limit)
    )
    return found.scalars().all()


async def due_attempts(session: AsyncSession, now: datetime, limit: int) -> Sequence[UUID]:
    return await _due(session, Attempt, now, limit)


async def due_operations(session: AsyncSession, now: datetime, limit: int) -> Sequence[UUID]:
    return await _due(session, Operation, now, limit)


async def due_refunds(session: AsyncSession, now: datetime, limit: int) -> Sequence[UUID]:
    return await _due(session, Refund, now, limit)


async def _due(
    session: AsyncSession, model: type[Attempt | Operation | Refund], now: datetime, limit: int
) -> Sequence[UUID]:
    found = await session.execute(
        select(model.id).where(model.next_query_at <= now).order_by(model.next_query_at).limit(limit)
    )
    return found.scalars().all()


async def unsettled_counts(session: AsyncSession) -> dict[str, int]:
    """What still moves by itself: for the quiescence report."""
    found = await session.execute(
        select(
            select(func.count()).where(Payment.status == "processing").scalar_subquery(),
            select(func.count())
            .where(Payment.status == "created", Payment.initiator == "merchant")
            .scalar_subquery(),
            select(func.count()).where(Webhook.outcome.is_(None)).scalar_subquery(),
        )
    )
    processing, queued, webhooks = found.one()
    return {"processing": processing, "queued": queued, "webhooks": webhooks}
