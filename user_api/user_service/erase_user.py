"""Erases a person (152-FZ, GDPR art. 17): at once here, then in the other places, resumed until all is done.

The account stays as a bare id, which payments, invoices and the ledger go on naming. BillingAPI forgets its
customer row and ends subscriptions on ``user.erased``; PayAPI is asked; Redis forgets the sessions.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared import logs
from shared.errors import AppError, conflict
from shared.failpoints import failpoint
from shared.ids import derived_id, new_id
from shared.queue.messages.payments import PaymentStatus
from user_api.cache import SessionStore
from user_api.user_service import consents, repository
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import Payment, PaymentMethod, RecurringPayment
from user_api.user_service.events import add_user_event
from user_api.user_service.intents import list_given_up, settle_given_up
from user_api.user_service.models import AccountAction, AccountMessage, Erasure, LoginThrottle, User
from user_api.user_service.throttle_login import keys

# Whatever may still move money: an intent PayAPI has not answered included (it is ``created``), until it is
# given up (intents.py).
UNSETTLED: Final = (
    PaymentStatus.CREATED,
    PaymentStatus.PROCESSING,
    PaymentStatus.ACTION_REQUIRED,
    PaymentStatus.AUTHORIZED,
    PaymentStatus.UNKNOWN,
    PaymentStatus.NEEDS_REVIEW,
)
NO_PASSWORD: Final = "erased"  # noqa: S105 - no hash: nothing verifies against it

log = logs.logger(__name__)


async def erase_user(commerce: Commerce, user_id: UUID, password_hash: str) -> Erasure:
    """The act of erasure; from its commit on nobody is behind the account (``user.erased``).

    ``password_hash`` is the one just confirmed. Raises ``payment-in-progress`` (409) while money is on its
    way, ``password-changed-meanwhile`` (409), and PayAPI's unavailability. Finish it with ``finish_erasure``.
    """
    for given_up in await list_given_up(commerce, 100, user_id):
        await settle_given_up(commerce, *given_up)
    await _ask_about_refunds(commerce, user_id)
    now = commerce.clock.now()
    async with commerce.sessions.begin() as session:
        user = await repository.lock_user(session, user_id)
        known = await session.scalar(select(Erasure).where(Erasure.user_id == user_id))
        if known is not None:
            return known
        if user.password_hash != password_hash:
            raise conflict("password-changed-meanwhile", "The password has just been changed elsewhere.")
        await _refuse_while_money_moves(session, user_id)
        await _anonymise(session, user, now)
        act = Erasure(id=new_id(), user_id=user_id, requested_at=now, anonymised_at=now)
        session.add(act)
        session.add(
            AccountAction(
                id=new_id(),
                user_id=user_id,
                actor="user",
                action="user.erased",
                reason="asked by the user",
                acted_at=now,
            )
        )
        await add_user_event(session, "user.erased", user, now)
    log.warning("user-erased", user_id=str(user_id), erasure_id=str(act.id))
    failpoint("erasure.mid_way")
    return act


async def finish_erasure(commerce: Commerce, store: SessionStore, user_id: UUID) -> bool:
    """Does what is left of an erasure; whether all is done. Safe to repeat, to kill and to run twice."""
    async with commerce.sessions() as session:
        act = await session.scalar(select(Erasure).where(Erasure.user_id == user_id))
    if act is None or act.completed_at is not None:
        return True
    try:
        await store.refresh_rights([user_id])
        await store.forget(user_id, None)
        await _note(commerce, act.id, "sessions_forgotten_at")
        await commerce.pay_api.erase_customer(user_id, derived_id(act.id, "pay-api"))
        await _note(commerce, act.id, "payments_erased_at")
    except AppError as error:
        log.warning("erasure-waits", user_id=str(user_id), code=error.code)
        return False
    now = commerce.clock.now()
    async with commerce.sessions.begin() as session:
        await session.execute(
            update(Erasure)
            .where(Erasure.id == act.id, Erasure.completed_at.is_(None))
            .values(completed_at=now)
        )
    log.warning("erasure-completed", user_id=str(user_id), erasure_id=str(act.id))
    return True


async def list_unfinished(commerce: Commerce, limit: int) -> list[UUID]:
    """Users whose erasure has steps left, the oldest first."""
    async with commerce.sessions() as session:
        found = await session.scalars(
            select(Erasure.user_id).where(Erasure.completed_at.is_(None)).order_by(Erasure.id).limit(limit)
        )
        return list(found)


async def _ask_about_refunds(commerce: Commerce, user_id: UUID) -> None:
    """Refunds stand at PayAPI alone; one that begins after this makes its erasure wait, not fail."""
    params: dict[str, str | int] = {"user_id": str(user_id), "limit": 100}
    while True:
        page = await commerce.pay_api.list_payments(params)
        for view in page.get("items", []):
            moving = [r for r in view.get("refunds", []) if r.get("status") in ("processing", "unknown")]
            if moving or view.get("status") in UNSETTLED:
                raise _in_progress(view.get("id"))
        if page.get("next_cursor") is None:
            return
        params["cursor"] = page["next_cursor"]


async def _refuse_while_money_moves(session: AsyncSession, user_id: UUID) -> None:
    found = await session.scalar(
        select(Payment.id)
        .where(Payment.user_id == user_id, Payment.status.in_([status.value for status in UNSETTLED]))
        .limit(1)
    )
    if found is not None:
        raise _in_progress(str(found))


def _in_progress(payment_id: object) -> AppError:
    refusal = conflict(
        "payment-in-progress",
        "A payment or refund is on its way. The account can be erased when it has ended.",
        payment_id=payment_id,
    )
    refusal.retry_after_seconds = 60
    return refusal


async def _anonymise(session: AsyncSession, user: User, now: datetime) -> None:
    await session.execute(
        delete(LoginThrottle).where(LoginThrottle.key == keys(user.email_normalized, "").account)
    )
    user.email = user.email_normalized = f"{user.id}@erased.invalid"
    user.full_name = user.phone = user.email_confirmed_at = None
    user.password_hash = NO_PASSWORD
    user.status = "erased"
    user.token_epoch += 1
    user.updated_at = now
    await session.execute(delete(AccountMessage).where(AccountMessage.user_id == user.id))
    # Stored answers repeat what was asked for: card masks, addresses to return to.
    await session.execute(
        text("DELETE FROM idempotency_key WHERE caller = :caller"), {"caller": str(user.id)}
    )
    consented = await session.scalars(
        select(RecurringPayment.subscription_id)
        .where(RecurringPayment.user_id == user.id, RecurringPayment.status != "revoked")
        .distinct()
    )
    for subscription_id in sorted(consented.all()):
        await consents.revoke_of_subscription(session, subscription_id, "user-erased", now)
    await session.execute(
        update(PaymentMethod)
        .where(PaymentMethod.user_id == user.id, PaymentMethod.detached_at.is_(None))
        .values(detached_at=now)
    )
    await _forget_cards(session, user.id)


async def forget_cards_if_erased(session: AsyncSession, user_id: UUID) -> None:
    """In the transaction of an event: one that was on its way brings no card back to an erased account."""
    status = await session.scalar(select(User.status).where(User.id == user_id))
    if status == "erased":
        await session.flush()
        await _forget_cards(session, user_id)


async def _forget_cards(session: AsyncSession, user_id: UUID) -> None:
    await session.execute(
        update(PaymentMethod).where(PaymentMethod.user_id == user_id).values(card_mask="", card_brand="")
    )
    await session.execute(
        update(Payment)
        .where(Payment.user_id == user_id)
        .values(card_mask=None, decline=None, next_action=None, events_url=None, payer=None)
    )


async def _note(commerce: Commerce, act_id: UUID, column: str) -> None:
    """Writes when a step was done, the first time only."""
    async with commerce.sessions.begin() as session:
        done = getattr(Erasure, column)
        await session.execute(
            update(Erasure).where(Erasure.id == act_id, done.is_(None)).values({column: commerce.clock.now()})
        )
