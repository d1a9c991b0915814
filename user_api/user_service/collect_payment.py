"""Collects a due invoice for BillingAPI (A12): only with a consent and a method that hold at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import AppError, Kind, conflict, invalid
from shared.money import Money
from user_api.clients.pay_api import PaymentView
from user_api.user_service import consents, payment_copy, repository
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import Payment, PaymentMethod
from user_api.user_service.customer import load_customer
from user_api.user_service.start_payment import find_at_pay_api


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


async def collect_payment(commerce: Commerce, collection: Collection) -> PaymentView:
    """Commits the intent under the consent's lock, then passes the same key on; the outcome comes by event.

    Raises ``no-consent`` and ``no-method`` (409, final), PayAPI's refusals, and NoAnswer when it is not
    known whether PayAPI took it: the same key resumes. A payment PayAPI knows is never judged again.
    """
    intent = await _commit_intent(commerce, collection)
    if intent.is_known:
        return await commerce.pay_api.get_payment(collection.payment_id)
    view = None if intent.is_new else await find_at_pay_api(commerce, collection.payment_id)
    if view is None:
        view = await _start(commerce, collection, intent.method_id)
    async with commerce.sessions.begin() as session:
        await payment_copy.store(session, payment_copy.word_of_view(view), commerce.clock.now())
    return view


async def _start(commerce: Commerce, collection: Collection, method_id: UUID) -> PaymentView:
    customer = await load_customer(commerce.sessions, collection.user_id)
    body: dict[str, Any] = {
        "payment_id": str(collection.payment_id),
        "invoice_id": str(collection.invoice_id),
        "user_id": str(collection.user_id),
        "amount": collection.amount.as_json(),
        "description": collection.description,
        "initiator": "merchant",
        "method": {"kind": "saved_method", "payment_method_id": str(method_id)},
        "payer": {"email": customer.email, "locale": customer.locale},
        "receipt": collection.receipt,
    }
    try:
        return await commerce.pay_api.start_payment(collection.payment_id, body, None)
    except AppError as error:
        if error.kind not in (Kind.UNAVAILABLE, Kind.TOO_MANY) and error.code != "request-in-progress":
            await _withdraw_intent(commerce, collection.payment_id)
        raise


@dataclass(frozen=True, slots=True)
class _Intent:
    """``is_known``: PayAPI has told of the payment; not ``is_new``: an earlier run may have reached it."""

    method_id: UUID
    is_known: bool
    is_new: bool


async def _commit_intent(commerce: Commerce, collection: Collection) -> _Intent:
    now = commerce.clock.now()
    async with commerce.sessions.begin() as session:
        is_held = await _hold_user(session, collection.user_id)
        held = await consents.lock_of_subscription(session, collection.subscription_id)
        known = await payment_copy.lock(session, collection.payment_id)
        if known is not None and (
            known.invoice_id != collection.invoice_id or known.user_id != collection.user_id
        ):
            raise invalid("idempotency-key-reused", "This key was used with another request.")
        if known is not None and known.known_at is not None and known.method_id is not None:
            return _Intent(known.method_id, is_known=True, is_new=False)
        active = next((row for row in held if row.status == "active"), None)
        if not is_held or active is None or active.user_id != collection.user_id:
            raise conflict("no-consent", "There is no consent to charge this subscription automatically.")
        method_id = await _usable_method(session, active.payment_method_id)
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
    return _Intent(chosen, is_known=False, is_new=known is None)


async def _hold_user(session: AsyncSession, user_id: UUID) -> bool:
    """False for an erased account: every consent ended with it, one given at that very moment too."""
    try:
        await repository.hold_user(session, user_id)
    except AppError:
        return False
    return True


async def _usable_method(session: AsyncSession, payment_method_id: UUID | None) -> UUID:
    method = await session.get(PaymentMethod, payment_method_id) if payment_method_id else None
    if method is None or method.detached_at is not None:
        raise conflict("no-method", "The saved method of this subscription cannot be charged any more.")
    return method.id


async def _withdraw_intent(commerce: Commerce, payment_id: UUID) -> None:
    async with commerce.sessions.begin() as session:
        await session.execute(delete(Payment).where(Payment.id == payment_id, Payment.known_at.is_(None)))
