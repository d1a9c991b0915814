"""Saves a card without a purchase: PayAPI holds 1.00 RUB on it and gives it back."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from shared.errors import AppError
from shared.ids import new_id
from shared.money import Money
from user_api.user_service import consents, intents, payment_copy, repository
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import Payment
from user_api.user_service.consents import Consent
from user_api.user_service.customer import load_customer
from user_api.user_service.intents import Intent
from user_api.user_service.start_payment import CardCryptogram, PaymentWish

# What PayAPI holds for a moment; its own word replaces this with its answer.
CHECK: Final = Money(100, "RUB")


async def add_payment_method(
    commerce: Commerce,
    request_id: UUID,
    user_id: UUID,
    wish: PaymentWish,
    subscription_id: UUID | None = None,
) -> Payment:
    """The payment that checks the card, in whatever status it has; the card itself comes by event.

    A consent of the wish is to that subscription's automatic charges; it holds once the card is saved.
    Raises PayAPI's refusals with their codes, and NoAnswer when the outcome is not known: the same key
    resumes and never checks the card a second time.
    """
    assert isinstance(wish.method, CardCryptogram)
    customer = await load_customer(commerce.sessions, user_id)
    payer = intents.payer_of(customer.email, wish.ip, wish.locale)
    intent = await _commit_intent(commerce, request_id, user_id, payer, wish.consent, subscription_id)
    view = None if intent.tried_at is None else await intents.find_at_pay_api(commerce, intent.payment_id)
    if view is None:
        body: dict[str, Any] = {"payment_id": str(intent.payment_id), "payer": intent.payer}
        if wish.method.cardholder_name:
            body["cardholder_name"] = wish.method.cardholder_name
        if wish.return_url:
            body["return_url"] = wish.return_url
        try:
            view = await commerce.pay_api.add_method(user_id, body, wish.method.cryptogram)
        except AppError as error:
            view = await intents.after_refusal(commerce, intent, error)
    async with commerce.sessions.begin() as session:
        return await payment_copy.store(session, payment_copy.word_of_view(view), commerce.clock.now())


async def _commit_intent(
    commerce: Commerce,
    request_id: UUID,
    user_id: UUID,
    payer: dict[str, Any],
    consent: Consent | None,
    subscription_id: UUID | None,
) -> Intent:
    now = commerce.clock.now()
    async with commerce.sessions.begin() as session:
        known = await intents.take_up(session, request_id, payer, now)
        if known is not None:
            return known
        await repository.hold_user(session, user_id)
        payment_id = new_id()
        await session.execute(
            insert(Payment).values(
                id=payment_id,
                request_id=request_id,
                user_id=user_id,
                initiator="customer",
                status="created",
                currency=CHECK.currency,
                amount_minor=CHECK.amount,
                captured_minor=0,
                refunded_minor=0,
                payer=payer,
                created_at=now,
                updated_at=now,
            )
        )
        if consent is not None and subscription_id is not None:
            consents.record(
                session,
                consent,
                user_id=user_id,
                subscription_id=subscription_id,
                payment_id=payment_id,
                payment_method_id=None,
                now=now,
            )
    return Intent(payment_id, payer)
