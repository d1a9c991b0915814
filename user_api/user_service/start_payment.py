"""Pays an invoice through PayAPI: intent and consent committed first, then the call, then its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import AppError, invalid, not_found
from shared.failpoints import failpoint
from shared.ids import new_id
from shared.money import Money, allocate
from shared.plain_text import RECEIPT_LABEL_LENGTH, one_line
from user_api.clients.billing_api import InvoiceView
from user_api.user_service import consents, intents, payment_copy, repository
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import Payment, PaymentMethod
from user_api.user_service.consents import Consent
from user_api.user_service.customer import Customer
from user_api.user_service.intents import Intent


@dataclass(frozen=True, slots=True)
class CardCryptogram:
    """A card typed in by the user, encrypted for the provider; it is never stored nor logged."""

    cryptogram: SecretStr
    cardholder_name: str | None
    save_method: bool


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """A card the user saved before."""

    payment_method_id: UUID


@dataclass(frozen=True, slots=True)
class HostedCheckout:
    """The card is entered on PayAPI's own page."""

    save_method: bool


@dataclass(frozen=True, slots=True)
class BankTransfer:
    """The user's bank sends the money; ``next_action`` holds what to tell it, staff confirm the arrival."""


Method = CardCryptogram | SavedMethod | HostedCheckout | BankTransfer


@dataclass(frozen=True, slots=True)
class PaymentWish:
    """How the user wants to pay. ``return_url`` has been checked; ``ip`` is the payer's address."""

    method: Method
    consent: Consent | None
    return_url: str | None
    ip: str | None
    locale: str


def refuse_useless_consent(wish: PaymentWish) -> None:
    """A consent can only be carried out with a card that stays; raises ``consent-needs-saved-method``."""
    method = wish.method
    stays = isinstance(method, SavedMethod) or (not isinstance(method, BankTransfer) and method.save_method)
    if wish.consent and not stays:
        raise invalid(
            "consent-needs-saved-method", "Automatic charges need a saved card: set save_method to true."
        )


async def require_method(session: AsyncSession, user_id: UUID, method: Method) -> None:
    """Raises ``payment-method-not-found`` unless a saved method is the user's own and attached."""
    if isinstance(method, SavedMethod):
        row = await session.get(PaymentMethod, method.payment_method_id)
        if row is None or row.user_id != user_id or row.detached_at is not None:
            raise not_found("payment-method")


async def start_payment(
    commerce: Commerce, request_id: UUID, customer: Customer, invoice: InvoiceView, wish: PaymentWish
) -> Payment:
    """Pays what is due of an invoice; a resumed run finds its payment and never begins a second one.

    Gives the payment in whatever status it has (declined included). Raises PayAPI's refusals with their
    codes, and NoAnswer when the outcome is not known: the same key resumes.
    """
    intent = await _commit_intent(commerce, request_id, customer, invoice, wish)
    failpoint("user.order.after_commit_before_call")
    view = None if intent.tried_at is None else await intents.find_at_pay_api(commerce, intent.payment_id)
    if view is None:
        body = _body(intent, customer, invoice, wish)
        cryptogram = wish.method.cryptogram if isinstance(wish.method, CardCryptogram) else None
        try:
            view = await commerce.pay_api.start_payment(intent.payment_id, body, cryptogram)
        except AppError as error:
            view = await intents.after_refusal(commerce, intent, error)
    async with commerce.sessions.begin() as session:
        return await payment_copy.store(session, payment_copy.word_of_view(view), commerce.clock.now())


async def _commit_intent(
    commerce: Commerce, request_id: UUID, customer: Customer, invoice: InvoiceView, wish: PaymentWish
) -> Intent:
    now, user_id = commerce.clock.now(), customer.user_id
    payer = intents.payer_of(customer.email, wish.ip, wish.locale)
    saved = wish.method.payment_method_id if isinstance(wish.method, SavedMethod) else None
    async with commerce.sessions.begin() as session:
        known = await intents.take_up(session, request_id, payer, now)
        if known is not None:
            return known
        await repository.hold_user(session, user_id)
        await require_method(session, user_id, wish.method)
        payment_id = new_id()
        await session.execute(
            insert(Payment).values(
                id=payment_id,
                request_id=request_id,
                user_id=user_id,
                invoice_id=invoice.id,
                subscription_id=invoice.subscription_id,
                initiator="customer",
                method_id=saved,
                status="created",
                currency=invoice.amount_due.currency,
                amount_minor=invoice.amount_due.amount,
                captured_minor=0,
                refunded_minor=0,
                payer=payer,
                created_at=now,
                updated_at=now,
            )
        )
        if wish.consent and invoice.subscription_id:
            consents.record(
                session,
                wish.consent,
                user_id=user_id,
                subscription_id=invoice.subscription_id,
                payment_id=payment_id,
                payment_method_id=saved,
                now=now,
            )
    return Intent(payment_id, payer)


def _body(intent: Intent, customer: Customer, invoice: InvoiceView, wish: PaymentWish) -> dict[str, Any]:
    method: dict[str, Any]
    if isinstance(wish.method, SavedMethod):
        method = {"kind": "saved_method", "payment_method_id": str(wish.method.payment_method_id)}
    elif isinstance(wish.method, HostedCheckout):
        method = {"kind": "hosted", "save_method": wish.method.save_method}
    elif isinstance(wish.method, BankTransfer):
        method = {"kind": "bank_transfer"}
    else:
        method = {"kind": "card_cryptogram", "save_method": wish.method.save_method}
        if wish.method.cardholder_name:
            method["cardholder_name"] = wish.method.cardholder_name
    locale = intent.payer["locale"]
    body: dict[str, Any] = {
        "payment_id": str(intent.payment_id),
        "invoice_id": str(invoice.id),
        "user_id": str(customer.user_id),
        "amount": invoice.amount_due.as_json(),
        "description": describe(invoice, locale),
        "initiator": "customer",
        "method": method,
        "payer": intent.payer,
        "receipt": receipt_of(invoice, locale),
    }
    if isinstance(wish.method, BankTransfer):
        body["provider"] = "bank_transfer"
    if wish.return_url:
        body["return_url"] = wish.return_url
    return body


def describe(invoice: InvoiceView, locale: str) -> str:
    """What the payer reads at their bank: the lines in their language, and the invoice's number."""
    texts = (one_line(_localized(line.description, locale)) for line in invoice.lines)
    words = ", ".join(dict.fromkeys(filter(None, texts)))
    number = f"счёт {invoice.number}" if locale == "ru" else f"invoice {invoice.number}"
    return f"{words[:180].rstrip()}, {number}" if words else number


def receipt_of(invoice: InvoiceView, locale: str) -> dict[str, Any]:
    """Receipt lines that add up to what is charged: what balance paid is spread over the lines exactly."""
    due, nets = invoice.amount_due, [line.net.amount for line in invoice.lines]
    if not nets or min(nets) < 0 or sum(nets) == 0:  # credits inside: one line for what is paid
        rate_bp = max((line.vat_rate_bp for line in invoice.lines), default=0)
        return {"lines": [_receipt_line(invoice, describe(invoice, locale), 1, due, rate_bp)]}
    parts = allocate(due.amount, nets)
    return {
        "lines": [
            _receipt_line(
                invoice,
                _localized(line.description, locale),
                line.quantity,
                Money(part, due.currency),
                line.vat_rate_bp,
            )
            for line, part in zip(invoice.lines, parts, strict=True)
            if part
        ]
    }


def _receipt_line(
    invoice: InvoiceView, text: str, quantity: int, amount: Money, rate_bp: int
) -> dict[str, Any]:
    label = one_line(text, RECEIPT_LABEL_LENGTH) or invoice.number
    return {"label": label, "quantity": quantity, "amount": amount.as_json(), "vat_rate_bp": rate_bp}


def _localized(texts: Mapping[str, str], locale: str) -> str:
    return texts.get(locale) or texts.get("ru") or next(filter(None, texts.values()), "—")
