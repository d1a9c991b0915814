"""Moves a consent to another saved method and tries the subscription's open invoices with it at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, select

from shared import logs
from shared.card_limit import ATTEMPTS_PER_CARD, WINDOW_HOURS
from shared.errors import AppError, conflict, not_found
from shared.ids import new_id
from user_api.clients.billing_api import InvoiceView
from user_api.user_service import consents
from user_api.user_service.collect_payment import Collection, collect_payment
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import Payment, RecurringPayment
from user_api.user_service.customer import load_customer
from user_api.user_service.start_payment import SavedMethod, describe, receipt_of, require_method

_WINDOW: Final = timedelta(hours=WINDOW_HOURS)

log = logs.logger(__name__)


async def change_recurring_payment(
    commerce: Commerce, user_id: UUID, recurring_payment_id: UUID, payment_method_id: UUID
) -> RecurringPayment:
    """Raises ``recurring-payment-not-found``, ``recurring-payment-not-active`` (409),
    ``payment-method-not-found``.

    A retry that cannot begin now is left to the next collection run; it does not undo the change. The card
    that is charged already is not tried again by naming it once more.
    """
    async with commerce.sessions.begin() as session:
        row = await session.get(RecurringPayment, recurring_payment_id)
        if row is None or row.user_id != user_id:
            raise not_found("recurring-payment")
        held = await consents.lock_of_subscription(session, row.subscription_id)
        await require_method(session, user_id, SavedMethod(payment_method_id))
        if row not in held or row.status != "active":
            raise conflict("recurring-payment-not-active", "Only an active recurring payment can be changed.")
        is_another = row.payment_method_id != payment_method_id
        row.payment_method_id = payment_method_id
    if is_another:
        await retry_open_invoices(commerce, row)
    return row


async def retry_open_invoices(commerce: Commerce, consent: RecurringPayment) -> None:
    """Collects what is open of the consent's subscription now; what cannot begin is left to the next run.

    A card declined as often as ``shared.card_limit`` allows is not tried at all, however often the consent
    moves to it and back.
    """
    try:
        customer = await load_customer(commerce.sessions, consent.user_id)
        invoices = await commerce.billing_api.open_invoices(consent.user_id)
    except AppError as error:
        _leave(consent, error)
        return
    for invoice in invoices:
        # A change of product is the user's own to pay: an automatic charge never carries one out.
        is_due = invoice.kind != "change" and invoice.amount_due.amount > 0
        if invoice.subscription_id == consent.subscription_id and is_due:
            if await _declines(commerce, consent) >= ATTEMPTS_PER_CARD:
                log.info("retry-left-to-collection", code="card-limit")
                return
            try:
                await collect_payment(commerce, _collection(invoice, consent, customer.locale))
            except AppError as error:  # one that is being paid already does not keep the others waiting
                _leave(consent, error)


async def _declines(commerce: Commerce, consent: RecurringPayment) -> int:
    """How often the consent's card was declined lately, whoever tried."""
    query = select(func.count()).where(
        Payment.method_id == consent.payment_method_id,
        Payment.status == "failed",
        Payment.created_at > commerce.clock.now() - _WINDOW,
    )
    async with commerce.sessions() as session:
        return (await session.execute(query)).scalar_one()


def _leave(consent: RecurringPayment, error: AppError) -> None:
    log.info("retry-left-to-collection", subscription_id=str(consent.subscription_id), code=error.code)


def _collection(invoice: InvoiceView, consent: RecurringPayment, locale: str) -> Collection:
    return Collection(
        payment_id=new_id(),
        user_id=consent.user_id,
        subscription_id=consent.subscription_id,
        invoice_id=invoice.id,
        amount=invoice.amount_due,
        description=describe(invoice, locale),
        receipt=receipt_of(invoice, locale),
    )
