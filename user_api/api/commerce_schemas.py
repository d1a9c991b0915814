"""Bodies of the commerce routes, and what they show of payments, methods, consents and products."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, StringConstraints, field_serializer

from shared.errors import invalid
from shared.money import Money
from user_api.api.account_schemas import GivenPassword
from user_api.api.deps import Line, RequestBody
from user_api.user_service.commerce_models import Payment, PaymentMethod, RecurringPayment, UserProduct
from user_api.user_service.consents import Consent
from user_api.user_service.start_payment import (
    BankTransfer,
    CardCryptogram,
    HostedCheckout,
    Method,
    PaymentWish,
    SavedMethod,
)

PromoCode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class CardCryptogramBody(RequestBody):
    """A card encrypted by the provider's script; never stored, never logged."""

    kind: Literal["card_cryptogram"]
    card_cryptogram: Annotated[SecretStr, Field(min_length=1, max_length=4096)]
    cardholder_name: Annotated[Line, Field(max_length=100)] | None = None
    save_method: bool = False

    @field_serializer("card_cryptogram", when_used="json")
    def _fingerprint(self, value: SecretStr) -> str:
        """Another card is another request for the Idempotency-Key, without the cryptogram in its hash."""
        return hashlib.sha256(value.get_secret_value().encode("utf-8", "surrogatepass")).hexdigest()


class SavedMethodBody(RequestBody):
    """A method saved before."""

    kind: Literal["saved_method"]
    payment_method_id: UUID


class HostedBody(RequestBody):
    """The card is entered on PayAPI's checkout page, where ``next_action`` leads."""

    kind: Literal["hosted"]
    save_method: bool = False


class BankTransferBody(RequestBody):
    """The user's bank sends the money: ``next_action`` holds the details, staff confirm the arrival."""

    kind: Literal["bank_transfer"]


CardBody = Annotated[CardCryptogramBody | SavedMethodBody | HostedBody, Field(discriminator="kind")]
PaymentBody = Annotated[
    CardCryptogramBody | SavedMethodBody | HostedBody | BankTransferBody, Field(discriminator="kind")
]


def _is_boolean(value: object) -> object:
    """A consent is said, never read out of a number or a word that happens to be equal to true."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


class ConsentBody(RequestBody):
    """Consent to automatic charges; ``accepted`` can only be true."""

    text_version: Line
    accepted: Annotated[Literal[True], BeforeValidator(_is_boolean)]

    def value(self, language: str) -> Consent:
        """``language``: of the request, as the text is served."""
        return Consent(self.text_version, language)


class QuoteBody(RequestBody):
    product_id: UUID
    price_id: UUID | None = None
    promo_code: PromoCode | None = None


class PayBody(RequestBody):
    payment: PaymentBody
    consent: ConsentBody | None = None
    return_url: Annotated[str, Field(max_length=2000)] | None = None

    def wish(self, allowed_origins: frozenset[str], ip: str, locale: str) -> PaymentWish:
        """Raises ``return-url-not-allowed`` (422)."""
        return PaymentWish(
            method=_method(self.payment),
            consent=self.consent.value(locale) if self.consent else None,
            return_url=check_return_url(self.return_url, allowed_origins),
            # Of an IPv6 customer only the network is known here.
            ip=None if ip == "unknown" else ip.partition("/")[0],
            locale=locale,
        )


class PayInvoiceBody(PayBody):
    """``current_password`` where the consent replaces the card agreed before."""

    current_password: GivenPassword | None = None


class AddMethodBody(RequestBody):
    """A card to save without buying anything: 1.00 RUB is held on it and given back."""

    card_cryptogram: Annotated[SecretStr, Field(min_length=1, max_length=4096)]
    cardholder_name: Annotated[Line, Field(max_length=100)] | None = None
    return_url: Annotated[str, Field(max_length=2000)] | None = None
    current_password: GivenPassword | None = None

    @field_serializer("card_cryptogram", when_used="json")
    def _fingerprint(self, value: SecretStr) -> str:
        return hashlib.sha256(value.get_secret_value().encode("utf-8", "surrogatepass")).hexdigest()

    def wish(self, allowed_origins: frozenset[str], ip: str, locale: str) -> PaymentWish:
        """Raises ``return-url-not-allowed`` (422)."""
        return PaymentWish(
            method=CardCryptogram(self.card_cryptogram, self.cardholder_name, save_method=True),
            consent=None,
            return_url=check_return_url(self.return_url, allowed_origins),
            ip=None if ip == "unknown" else ip.partition("/")[0],
            locale=locale,
        )


class BuyBody(PayBody):
    product_id: UUID
    price_id: UUID | None = None
    promo_code: PromoCode | None = None
    expected_amount: Money | None = None


class ChangeProductBody(RequestBody):
    """``payment`` is needed when something is due now; ``preview`` only shows what would be.

    A change lapses with its day, which no bank transfer reaches: only cards pay it.
    """

    product_id: UUID
    price_id: UUID | None = None
    preview: bool = False
    expected_amount: Money | None = None
    payment: CardBody | None = None
    consent: ConsentBody | None = None
    return_url: Annotated[str, Field(max_length=2000)] | None = None
    current_password: GivenPassword | None = None

    def wish_of(self, allowed_origins: frozenset[str], ip: str, locale: str) -> PaymentWish | None:
        """Raises ``return-url-not-allowed`` (422)."""
        if self.payment is None:
            return None
        body = PayBody(payment=self.payment, consent=self.consent, return_url=self.return_url)
        return body.wish(allowed_origins, ip, locale)


class CancelSubscriptionBody(RequestBody):
    mode: Literal["period_end", "now"] = "period_end"
    refund_unused: bool = False


class EmptyBody(RequestBody):
    """Nothing to say."""


class RecurringPaymentBody(RequestBody):
    subscription_id: UUID
    payment_method_id: UUID
    consent: ConsentBody
    current_password: GivenPassword | None = None


class RecurringPaymentChange(RequestBody):
    payment_method_id: UUID
    current_password: GivenPassword | None = None


def saved_card(body: PaymentBody) -> UUID | None:
    """The saved card that pays; None for a new one."""
    return body.payment_method_id if isinstance(body, SavedMethodBody) else None


def _method(body: CardCryptogramBody | SavedMethodBody | HostedBody | BankTransferBody) -> Method:
    if isinstance(body, BankTransferBody):
        return BankTransfer()
    if isinstance(body, SavedMethodBody):
        return SavedMethod(body.payment_method_id)
    if isinstance(body, HostedBody):
        return HostedCheckout(body.save_method)
    return CardCryptogram(body.card_cryptogram, body.cardholder_name, body.save_method)


def check_return_url(url: str | None, allowed_origins: frozenset[str]) -> str | None:
    """The address; raises ``return-url-not-allowed`` for another origin (no open redirect)."""
    if url is None:
        return None
    refusal = invalid("return-url-not-allowed", "return_url must lead to an allowed origin.")
    if not url.isascii() or not url.isprintable() or any(mark in url for mark in " \\\"'<>"):
        raise refusal
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise refusal from error
    host = f"{parts.hostname}:{port}" if port else parts.hostname
    if parts.username is not None or parts.password is not None or not parts.hostname:
        raise refusal
    if f"{parts.scheme}://{host}" not in allowed_origins:
        raise refusal
    return url


class PaymentSummary(BaseModel):
    """A payment as its owner sees it. ``next_action``: a page to go to, or details of a bank transfer."""

    id: UUID
    invoice_id: UUID | None
    status: str
    amount: Money
    refunded: Money
    card_mask: str | None
    next_action: dict[str, Any] | None
    decline: dict[str, Any] | None
    events_url: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: Payment) -> PaymentSummary:
        return cls(
            id=row.id,
            invoice_id=row.invoice_id,
            status=row.status,
            amount=Money(row.amount_minor, row.currency),
            refunded=Money(row.refunded_minor, row.currency),
            card_mask=row.card_mask,
            next_action=row.next_action,
            decline=row.decline,
            events_url=row.events_url,
            created_at=row.created_at,
        )


class PaymentMethodView(BaseModel):
    id: UUID
    provider: str
    card_mask: str
    card_brand: str
    expires_month: int
    expires_year: int
    created_at: datetime

    @classmethod
    def of(cls, row: PaymentMethod) -> PaymentMethodView:
        return cls.model_validate(row, from_attributes=True)


class RecurringPaymentView(BaseModel):
    """A consent: which text was accepted, and when (UTC). ``text_sha256`` null: a text not published here."""

    id: UUID
    subscription_id: UUID
    payment_method_id: UUID | None
    status: Literal["pending", "active", "revoked"]
    text_version: str
    text_language: Literal["ru", "en"] | None
    text_sha256: str | None
    accepted_at: datetime
    created_at: datetime

    @classmethod
    def of(cls, row: RecurringPayment) -> RecurringPaymentView:
        return cls.model_validate(row, from_attributes=True)


class UserProductView(BaseModel):
    """A purchased product; ``access_until`` null with access: without an end."""

    id: UUID
    kind: Literal["recurring", "one_time"]
    product_id: UUID
    price_id: UUID
    title: str | None
    status: str
    cancel_at_period_end: bool
    grants_access: bool
    access_until: datetime | None
    current_period: dict[str, date] | None
    created_at: datetime

    @classmethod
    def of(cls, row: UserProduct, title: str | None) -> UserProductView:
        period = None
        if row.current_period_start and row.current_period_end:
            period = {"start": row.current_period_start, "end": row.current_period_end}
        return cls(
            id=row.id,
            kind="one_time" if row.kind == "one_time" else "recurring",
            product_id=row.product_id,
            price_id=row.price_id,
            title=title,
            status=row.status,
            cancel_at_period_end=row.cancel_at_period_end,
            grants_access=row.grants_access,
            access_until=row.access_until,
            current_period=period,
            created_at=row.created_at,
        )
