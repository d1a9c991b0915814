"""Bodies of PayAPI: strict requests, and the payment as callers see it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, EmailStr, Field, IPvAnyAddress

from pay_api.api import examples
from pay_api.api.beside_payment import Beside, ReceiptView, SecondChargeView
from pay_api.links import Links, Purpose
from pay_api.models import Payment, PaymentMethod, Refund
from pay_api.pay_service.settle_review import Finding
from pay_api.pay_service.transitions import decline_of
from pay_api.providers.registry import DEFAULT
from shared.money import Money
from shared.plain_text import RECEIPT_LABEL_LENGTH
from shared.queue.messages.payments import PaymentStatus


def _positive(value: Money) -> Money:
    if value.amount <= 0:
        raise ValueError("must be more than zero")
    return value


def _web_address(value: str) -> str:
    try:
        address = urlsplit(value)
        valid = address.scheme in ("http", "https") and bool(address.hostname) and "@" not in address.netloc
    except ValueError:
        valid = False
    if not valid or any(ord(character) <= 32 or character in "\"'<>\\" for character in value):
        raise ValueError("must be an http or https address")
    return value


def _plain(value: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in value) or not value.strip():
        raise ValueError("must be readable text")
    return value


def _written(value: object) -> object:
    """An address in its written form: a bare number would be taken for one too."""
    if isinstance(value, int):
        raise ValueError("must be an IP address")
    return value


PositiveMoney = Annotated[Money, AfterValidator(_positive)]
WebAddress = Annotated[str, Field(max_length=2000), AfterValidator(_web_address)]
Reason = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_plain)]


def _strict(shown: list[dict[str, Any]]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": list(shown)})


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CardCryptogram(_Body):
    """A new card, encrypted in the payer's browser."""

    kind: Literal["card_cryptogram"]
    card_cryptogram: str = Field(min_length=1, max_length=8192, repr=False)
    cardholder_name: Annotated[str, Field(max_length=100), AfterValidator(_plain)] | None = None
    save_method: bool = False


class SavedMethod(_Body):
    """A card saved before."""

    kind: Literal["saved_method"]
    payment_method_id: UUID


class HostedMethod(_Body):
    """The payer enters a card on our checkout page; ``save_method`` saves it without asking there again."""

    kind: Literal["hosted"]
    save_method: bool = False


class BankTransferMethod(_Body):
    """The payer's bank sends the money; ``provider`` must be ``bank_transfer``."""

    kind: Literal["bank_transfer"]


class PayerBody(_Body):
    """Who pays; the address and e-mail go to the provider and nowhere else."""

    email: Annotated[EmailStr, Field(max_length=254)] | None = None
    ip: Annotated[IPvAnyAddress, BeforeValidator(_written)] | None = None
    locale: Literal["ru", "en"] = "ru"


class ReceiptLineBody(_Body):
    """One line of the receipt; ``amount`` is the line's total."""

    label: Annotated[str, Field(min_length=1, max_length=RECEIPT_LABEL_LENGTH), AfterValidator(_plain)]
    quantity: int = Field(ge=1, le=10_000, strict=True)
    amount: PositiveMoney
    vat_rate_bp: Literal[0, 500, 700, 1000, 2000, 2200] | None


class ReceiptBody(_Body):
    lines: list[ReceiptLineBody] = Field(min_length=1, max_length=100)


class StartPaymentBody(_Body):
    """``capture``: ``manual`` only holds the money until ``POST …/capture``."""

    model_config = _strict(examples.START)

    payment_id: UUID
    invoice_id: UUID
    user_id: UUID
    amount: PositiveMoney
    description: Annotated[str, Field(min_length=1, max_length=250), AfterValidator(_plain)]
    initiator: Literal["customer", "merchant"]
    method: Annotated[
        CardCryptogram | SavedMethod | HostedMethod | BankTransferMethod, Field(discriminator="kind")
    ]
    provider: Annotated[str, Field(pattern=r"^[a-z][a-z_]{1,39}$")] = DEFAULT
    payer: PayerBody
    return_url: WebAddress | None = None
    receipt: ReceiptBody
    capture: Literal["automatic", "manual"] = "automatic"


class CancelBody(_Body):
    model_config = _strict(examples.CANCEL)

    cancellation_id: UUID
    amount: PositiveMoney | None = None
    reason: Reason
    uncaptured_only: bool = False


class RefundBody(_Body):
    model_config = _strict(examples.REFUND)

    refund_order_id: UUID
    amount: PositiveMoney
    reason: Reason


class CaptureBody(_Body):
    model_config = _strict(examples.CAPTURE)

    amount: PositiveMoney | None = None


class AttemptBody(_Body):
    """A card entered in the checkout page, encrypted there."""

    model_config = _strict(examples.ATTEMPT)

    card_cryptogram: str = Field(min_length=1, max_length=8192, repr=False)
    cardholder_name: Annotated[str, Field(max_length=100), AfterValidator(_plain)] | None = None
    save_method: bool = False


class ErasureBody(_Body):
    """Nothing needs to be said."""

    model_config = _strict([{}])


class ErasureView(BaseModel):
    """When the customer's personal data was erased here."""

    user_id: UUID
    erased_at: datetime


class AddMethodBody(_Body):
    """A card to save without a purchase; ``payment_id`` is the id of the 1.00 RUB check."""

    model_config = _strict(examples.ADD_METHOD)

    payment_id: UUID
    card_cryptogram: str = Field(min_length=1, max_length=8192, repr=False)
    cardholder_name: Annotated[str, Field(max_length=100), AfterValidator(_plain)] | None = None
    payer: PayerBody
    return_url: WebAddress | None = None


class TransferConfirmationBody(_Body):
    """``actor`` is the person of staff who saw the money; less than the payment's amount is a part."""

    model_config = _strict(examples.CONFIRMATION)

    confirmation_id: UUID
    amount: PositiveMoney
    reason: Reason
    actor: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]


class RefundConfirmationBody(_Body):
    """``actor`` is the person of staff who sent the money back by hand, or saw that it was not sent."""

    model_config = _strict(examples.REFUND_CONFIRMATION)

    refund_id: UUID
    finding: Literal["sent", "not_sent"] = "sent"
    reason: Reason
    actor: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]


class ReviewSettlementBody(_Body):
    """``actor`` looked in the provider's cabinet: the money was taken (``amount``: if not the whole), was
    not, or was given back."""

    model_config = _strict(examples.REVIEW_SETTLEMENT)

    finding: Finding
    amount: PositiveMoney | None = None
    transaction_id: Annotated[str, Field(pattern=r"^[0-9]{1,20}$")] | None = None
    reason: Reason
    actor: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]


class RedirectAction(BaseModel):
    """``step``: ``checkout`` enters a card, ``3ds`` confirms at the bank."""

    kind: Literal["redirect"]
    step: Literal["checkout", "3ds"]
    url: str


class InstructionsAction(BaseModel):
    """What the payer gives their bank, by stable names, and until when it is awaited; ``url`` shows it."""

    kind: Literal["instructions"]
    url: str
    instructions: dict[str, str]
    expires_at: datetime | None


class DeclineView(BaseModel):
    """``message`` is in the payer's language."""

    model_config = ConfigDict(populate_by_name=True)

    decline_class: str = Field(alias="class")
    code: str
    message: str


class PublicRefundView(BaseModel):
    """A refund as the payer's browser sees it: what staff wrote about it is not for the payer."""

    id: UUID
    amount: Money
    status: str
    cancellation_id: UUID | None
    refund_order_id: UUID | None
    created_at: datetime


class RefundView(PublicRefundView):
    """A refund as services see it; ``waits_for_person``: by itself nothing happens to it any more."""

    reason: str
    waits_for_person: bool


class PublicPaymentView(BaseModel):
    """A payment as its payer's browser sees it."""

    id: UUID
    invoice_id: UUID | None
    purpose: str
    initiator: str
    provider: str
    status: PaymentStatus
    amount: Money
    captured: Money
    refunded: Money
    settles_invoice: bool
    late: bool
    payment_method_id: UUID | None
    card_mask: str | None
    next_action: RedirectAction | InstructionsAction | None
    decline: DeclineView | None
    refunds: Sequence[PublicRefundView]
    events_url: str
    created_at: datetime
    updated_at: datetime


class PaymentView(PublicPaymentView):
    """A payment as services see it."""

    model_config = ConfigDict(json_schema_extra={"examples": list(examples.PAYMENT)})

    user_id: UUID
    review_reason: str | None  # why it needs review
    refunds: list[RefundView]
    receipts: list[ReceiptView]
    # Money taken twice: the payment this one stands beside, and those that stand beside this one.
    second_charge_of: UUID | None = None
    second_charges: list[SecondChargeView]


class PaymentPage(BaseModel):
    items: list[PaymentView]
    next_cursor: str | None


class PaymentMethodView(BaseModel):
    id: UUID
    provider: str
    card_mask: str
    card_brand: str
    expires_month: int
    expires_year: int
    created_at: datetime


class PaymentMethodList(BaseModel):
    items: list[PaymentMethodView]
    next_cursor: str | None = None


class ClosingView(BaseModel):
    invoice_id: UUID
    result: Literal["closed", "in_flight", "paid"]


class QuiescenceView(BaseModel):
    quiet: bool
    pending: dict[str, int]


def next_action(payment: Payment, links: Links) -> RedirectAction | InstructionsAction | None:
    """What the payer has to do now."""
    if payment.status != PaymentStatus.ACTION_REQUIRED:
        return None
    if payment.instructions is not None:
        return InstructionsAction(
            kind="instructions",
            url=links.url(payment.id, Purpose.CHECKOUT, payment.expires_at),
            instructions=payment.instructions,
            expires_at=payment.expires_at,
        )
    if payment.awaits_card:
        return RedirectAction(kind="redirect", step="checkout", url=links.url(payment.id, Purpose.CHECKOUT))
    return RedirectAction(kind="redirect", step="3ds", url=links.url(payment.id, Purpose.THREEDS))


def view_payment(
    payment: Payment, refunds: Sequence[Refund], links: Links, besides: Beside | None = None
) -> PaymentView:
    """The payment with freshly signed links."""
    currency, besides = payment.currency, besides or Beside()
    decline = decline_of(payment)
    return PaymentView(
        id=payment.id,
        invoice_id=payment.invoice_id,
        user_id=payment.user_id,
        purpose=payment.purpose,
        initiator=payment.initiator,
        provider=payment.provider,
        status=PaymentStatus(payment.status),
        amount=Money(payment.amount_minor, currency),
        captured=Money(payment.captured_minor, currency),
        refunded=Money(payment.refunded_minor, currency),
        settles_invoice=payment.settles_invoice,
        late=payment.late,
        review_reason=payment.review_reason,
        payment_method_id=payment.payment_method_id,
        card_mask=payment.card_mask,
        next_action=next_action(payment, links),
        decline=DeclineView.model_validate(
            {"class": decline.decline_class, "code": decline.code, "message": decline.message}
        )
        if decline
        else None,
        refunds=[
            RefundView(
                id=refund.id,
                amount=Money(refund.amount_minor, currency),
                status=refund.status,
                reason=refund.reason,
                cancellation_id=refund.cancellation_id,
                refund_order_id=refund.refund_order_id,
                created_at=refund.created_at,
                waits_for_person=refund.waits_for_person,
            )
            for refund in refunds
        ],
        receipts=besides.receipts_of(payment.id),
        second_charge_of=besides.first_of(payment.id),
        second_charges=besides.second_charges_of(payment.id),
        events_url=links.url(payment.id, Purpose.EVENTS),
        created_at=payment.created_at,
        updated_at=payment.updated_at,
    )


def json_of(view: BaseModel, **options: Any) -> dict[str, Any]:
    return view.model_dump(mode="json", by_alias=True, **options)


def public_view(view: PaymentView) -> PublicPaymentView:
    """What of a payment its payer's browser may see: field by field, so nothing new slips through."""
    return PublicPaymentView.model_validate(json_of(view))


def view_method(method: PaymentMethod) -> PaymentMethodView:
    return PaymentMethodView(
        id=method.id,
        provider=method.provider,
        card_mask=method.card_mask,
        card_brand=method.card_brand,
        expires_month=method.expires_month,
        expires_year=method.expires_year,
        created_at=method.created_at,
    )
