"""Collects a due invoice for BillingAPI (A12): only with a consent and a method that hold at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.card_limit import CARD_LIMIT, CardLimit
from shared.errors import AppError, Kind, conflict, invalid
from shared.money import Money
from user_api.clients.pay_api import PaymentView
from user_api.user_service import consents, intents, payment_copy, repository
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import Payment, PaymentMethod
from user_api.user_service.intents import Intent
from user_api.user_service.models import User

# Tries whose end is not known yet: they may still be declined.
_UNDECIDED: Final = ("created", "processing", "unknown")
_DECIDED_WITHIN: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Collection:
    """What BillingAPI asks to be charged; ``payment_id`` is its collection attempt and every hop's key."""

    payment_id: UUID
    user_id: UUID
    subscription_id: UUID
    invoice_id: UUID
    amount: Money
    description: str
    receipt: dict[str, Any]
    card_limit: CardLimit = CARD_LIMIT


async def collect_payment(commerce: Commerce, collection: Collection) -> PaymentView:
    """Commits the intent under the consent's lock, then passes the same key on; the outcome comes by event.

    Raises ``no-consent`` and ``no-method`` (409, final), ``card-limit`` (429, nothing was begun), PayAPI's
    refusals, and NoAnswer when it is not known whether PayAPI took it: the same key resumes.
    ``idempotency-key-reused`` (422): PayAPI knows the id from a request of other words and made no payment of
    it. A payment PayAPI knows is never judged again.
    """
    chosen = await _commit_intent(commerce, collection)
    if chosen.is_known:
        return await commerce.pay_api.get_payment(collection.payment_id)
    is_first = chosen.intent.tried_at is None
    view = None if is_first else await intents.find_at_pay_api(commerce, collection.payment_id)
    if view is None:
        view = await _start(commerce, collection, chosen)
    async with commerce.sessions.begin() as session:
        await payment_copy.store(session, payment_copy.word_of_view(view), commerce.clock.now())
    return view


async def _start(commerce: Commerce, collection: Collection, chosen: _Chosen) -> PaymentView:
    body: dict[str, Any] = {
        "payment_id": str(collection.payment_id),
        "invoice_id": str(collection.invoice_id),
        "user_id": str(collection.user_id),
        "amount": collection.amount.as_json(),
        "description": collection.description,
        "initiator": "merchant",
        "method": {"kind": "saved_method", "payment_method_id": str(chosen.method_id)},
        "payer": chosen.intent.payer,
        "receipt": collection.receipt,
    }
    try:
        return await commerce.pay_api.start_payment(collection.payment_id, body, None)
    except AppError as error:
        if error.code == "payment-method-unusable":
            await intents.withdraw_intent(commerce, collection.payment_id)
            raise _no_method() from error
        return await intents.after_refusal(commerce, chosen.intent, error, id_is_given=True)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """``is_known``: PayAPI has told of the payment."""

    intent: Intent
    method_id: UUID
    is_known: bool


async def _commit_intent(commerce: Commerce, collection: Collection) -> _Chosen:
    now = commerce.clock.now()
    async with commerce.sessions.begin() as session:
        user = await _hold_user(session, collection.user_id)
        held = await consents.lock_of_subscription(session, collection.subscription_id)
        known = await payment_copy.lock(session, collection.payment_id)
        if known is not None and (
            known.invoice_id != collection.invoice_id or known.user_id != collection.user_id
        ):
            raise invalid("idempotency-key-reused", "This key was used with another request.")
        if known is not None and known.known_at is not None and known.method_id is not None:
            return _Chosen(Intent(known.id, {}, known.updated_at), known.method_id, is_known=True)
        active = next((row for row in held if row.status == "active"), None)
        if user is None or active is None or active.user_id != collection.user_id:
            raise conflict("no-consent", "There is no consent to charge this subscription automatically.")
        method_id = await _usable_method(session, active.payment_method_id)
        if known is None:
            await _hold_to_limit(session, collection, method_id, now)
        payer = intents.payer_of(user.email, None, user.locale)
        intent = Intent(collection.payment_id, payer)
        if known is not None:
            intent = Intent(known.id, known.payer or payer, known.updated_at)
        await session.execute(
            insert(Payment)
            .values(
                id=collection.payment_id,
                user_id=collection.user_id,
                invoice_id=collection.invoice_id,
                subscription_id=collection.subscription_id,
                initiator="merchant",
                method_id=method_id,
                status="created",
                currency=collection.amount.currency,
                amount_minor=collection.amount.amount,
                captured_minor=0,
                refunded_minor=0,
                payer=payer,
                created_at=now,
                updated_at=now,
            )
            # Sent once more: a revocation waits for what may be on its way (queued_charges.py).
            .on_conflict_do_update(
                index_elements=[Payment.id], set_={"updated_at": now}, where=Payment.known_at.is_(None)
            )
        )
    # A run that broke off before PayAPI answered goes on with the method it had chosen: same key, same body.
    chosen = known.method_id if known is not None and known.method_id else method_id
    return _Chosen(intent, chosen, is_known=False)


async def _hold_user(session: AsyncSession, user_id: UUID) -> User | None:
    """None for an erased account: every consent ended with it, one given at that very moment too."""
    try:
        await repository.hold_user(session, user_id)
    except AppError:
        return None
    return await repository.find_user(session, user_id)


async def _usable_method(session: AsyncSession, payment_method_id: UUID | None) -> UUID:
    # Held: two charges of one card, of different subscriptions, count one after the other.
    held = {"key_share": True}
    method = (
        await session.get(PaymentMethod, payment_method_id, with_for_update=held, populate_existing=True)
        if payment_method_id
        else None
    )
    if method is None or method.detached_at is not None:
        raise _no_method()
    return method.id


def _no_method() -> AppError:
    return conflict("no-method", "The saved method of this subscription cannot be charged any more.")


async def _hold_to_limit(
    session: AsyncSession, collection: Collection, method_id: UUID, now: datetime
) -> None:
    """Counts what was tried with the card lately, by whomever and for whatever; what is paid does not count.

    Raises ``card-limit`` with the time until the next try is allowed, or until one on its way is decided.
    """
    limit = collection.card_limit
    window = timedelta(hours=limit.window_hours)
    tried = await session.execute(
        select(Payment.created_at, Payment.status)
        .where(
            Payment.user_id == collection.user_id,  # its index
            Payment.method_id == method_id,
            Payment.status.in_(("failed", *_UNDECIDED)),
            Payment.created_at > now - window,
        )
        .order_by(Payment.created_at)
    )
    rows = tried.all()
    if len(rows) < limit.attempts:
        return
    declined_at = [created_at for created_at, status in rows if status == "failed"]
    wait = _DECIDED_WITHIN
    if len(declined_at) >= limit.attempts:
        wait = declined_at[-limit.attempts] + window - now
    raise AppError(
        "card-limit",
        Kind.TOO_MANY,
        f"This card was tried {limit.attempts} times within {limit.window_hours} hours.",
        retry_after_seconds=max(1, ceil(wait.total_seconds())),
    )
