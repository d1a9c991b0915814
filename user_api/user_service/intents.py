"""Intents: payments committed before PayAPI is asked, taken up by a resumed run, withdrawn when none came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import logs
from shared.errors import AppError, Kind, unavailable
from shared.idempotency import LEASE
from user_api.clients.pay_api import PaymentView
from user_api.user_service import payment_copy
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import Payment, RecurringPayment

# PayAPI's "the same request is still being worked on": the payment may well come to be.
_STILL_RUNNING: Final = "request-in-progress"
# PayAPI knows the id from a request of other words: that one may be at work, or have charged.
_OTHER_WORDS: Final = "idempotency-key-reused"
# By then every run of a key is over, its call to PayAPI included (25 s there, the key's lease is 30 s).
RUN_IS_OVER: Final = 2 * LEASE
# How long nobody has tried an intent that is given up: far longer than any run of its key takes.
GIVEN_UP_AFTER: Final = max(LEASE, timedelta(hours=1))

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Intent:
    """``payer``: as the first run told PayAPI of them, and every later one does, wherever it comes from.

    ``tried_at``: when it was last tried before this run; None: this is the first.
    """

    payment_id: UUID
    payer: dict[str, Any]
    tried_at: datetime | None = None


def payer_of(email: str | None, ip: str | None, locale: str) -> dict[str, Any]:
    """The payer in PayAPI's words."""
    given = {"email": email, "ip": ip, "locale": locale}
    return {name: value for name, value in given.items() if value is not None}


async def find_request(session: AsyncSession, request_id: UUID) -> Payment | None:
    """The payment an earlier run of the same Idempotency-Key began."""
    return await session.scalar(select(Payment).where(Payment.request_id == request_id))


async def take_up(
    session: AsyncSession, request_id: UUID, payer: dict[str, Any], now: datetime
) -> Intent | None:
    """The intent of an earlier run of the same Idempotency-Key, if there is one.

    It is tried anew from now on: nobody withdraws it while this run may be calling PayAPI.
    """
    row = await session.scalar(select(Payment).where(Payment.request_id == request_id).with_for_update())
    if row is None:
        return None
    intent = Intent(row.id, row.payer or payer, row.updated_at)
    if row.known_at is None:
        row.updated_at = now
    return intent


async def find_at_pay_api(commerce: Commerce, payment_id: UUID) -> PaymentView | None:
    """What became of an earlier run's call; asked before that call is repeated."""
    try:
        return await commerce.pay_api.get_payment(payment_id)
    except AppError as error:
        if error.kind is Kind.NOT_FOUND:
            return None
        raise


async def after_refusal(
    commerce: Commerce, intent: Intent, error: AppError, *, id_is_given: bool = False
) -> PaymentView:
    """What PayAPI's refusal means for the intent: withdrawn once it is certain that no payment came of it.

    Gives the payment that an earlier run has begun after all, else raises: the refusal, or NoAnswer's kind
    (503) while an earlier run may still be at work. Afterwards the same key makes a payment of another id,
    unless the caller has given the id (``id_is_given``): then the refusal says that it is used up.
    """
    if error.code != _OTHER_WORDS:
        if is_final_refusal(error, intent.payment_id):
            await withdraw_intent(commerce, intent.payment_id)
        raise error
    view = await find_at_pay_api(commerce, intent.payment_id)
    if view is not None:
        return view
    wait = int(RUN_IS_OVER.total_seconds())
    if intent.tried_at is not None and intent.tried_at + RUN_IS_OVER <= commerce.clock.now():
        await withdraw_intent(commerce, intent.payment_id)
        if id_is_given:
            raise error
        wait = 1
    raise unavailable("payment-being-started", "The payment is still being started. Try again.", wait)


def is_final_refusal(error: AppError, payment_id: UUID) -> bool:
    """Whether PayAPI has certainly made no payment of this id, and will not."""
    if error.kind in (Kind.UNAVAILABLE, Kind.TOO_MANY) or error.code in (_STILL_RUNNING, _OTHER_WORDS):
        return False
    return error.extra.get("payment_id") != str(payment_id)


async def withdraw_intent(
    commerce: Commerce, payment_id: UUID, untried_since: datetime | None = None
) -> None:
    """PayAPI made no such payment, so nothing of it stays, unless its events say otherwise.

    ``untried_since``: only if no run has taken it up after that moment.
    """
    gone = delete(Payment).where(Payment.id == payment_id, Payment.known_at.is_(None))
    if untried_since is not None:
        gone = gone.where(Payment.updated_at <= untried_since)
    async with commerce.sessions.begin() as session:
        if await session.scalar(gone.returning(Payment.id)) is not None:
            await session.execute(
                delete(RecurringPayment).where(
                    RecurringPayment.payment_id == payment_id, RecurringPayment.status == "pending"
                )
            )


async def list_given_up(
    commerce: Commerce, limit: int, user_id: UUID | None = None
) -> Sequence[tuple[datetime, UUID]]:
    """Intents nobody has tried for ``GIVEN_UP_AFTER``, those left longest first, each with that border."""
    border = commerce.clock.now() - GIVEN_UP_AFTER
    query = select(Payment.id).where(Payment.known_at.is_(None), Payment.updated_at <= border)
    if user_id is not None:
        query = query.where(Payment.user_id == user_id)
    async with commerce.sessions() as session:
        found = await session.scalars(query.order_by(Payment.updated_at, Payment.id).limit(limit))
        return [(border, payment_id) for payment_id in found]


async def settle_given_up(commerce: Commerce, border: datetime, payment_id: UUID) -> None:
    """Takes PayAPI's word for an intent it never answered: the payment is kept, or the intent withdrawn.

    A run that takes the intent up meanwhile keeps it; one that comes later finds none and begins a new one.
    """
    view = await find_at_pay_api(commerce, payment_id)
    if view is None:
        await withdraw_intent(commerce, payment_id, border)
        log.info("intent-given-up", payment_id=str(payment_id))
        return
    async with commerce.sessions.begin() as session:
        await payment_copy.store(session, payment_copy.word_of_view(view), commerce.clock.now())
