"""Buys a product: BillingAPI opens the invoice, PayAPI charges it; repeatable from any point it broke off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import select

from shared.errors import AppError, conflict, invalid, unavailable
from shared.failpoints import failpoint
from shared.ids import derived_id, new_id
from shared.money import Money
from user_api.clients.billing_api import InvoiceView, Started, SubscriptionView
from user_api.user_service import consents
from user_api.user_service.add_payment_method import add_payment_method
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import CatalogProduct, Payment
from user_api.user_service.consents import Consent
from user_api.user_service.customer import Customer, load_customer
from user_api.user_service.start_payment import (
    CardCryptogram,
    PaymentWish,
    SavedMethod,
    refuse_useless_consent,
    require_method,
    start_payment,
)

# Starting may meet an incomplete purchase of the group, and after it is abandoned one from another tab.
_MAX_STARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Order:
    """What is bought. ``expected_amount`` is what the user saw: another figure is refused."""

    kind: Literal["recurring", "one_time"]
    product_id: UUID
    price_id: UUID | None
    promo_code: str | None
    expected_amount: Money | None


@dataclass(frozen=True, slots=True)
class Bought:
    """Nothing due: the subscription runs by BillingAPI's word already, and ``payment`` is None or, for a new
    card that is to be saved, the check of that card.
    """

    subscription: SubscriptionView
    invoice: InvoiceView | None
    payment: Payment | None


async def buy_product(
    commerce: Commerce, user_id: UUID, order: Order, wish: PaymentWish, request_id: UUID
) -> Bought:
    """Architecture, section 6, "Buy". ``request_id`` is the idempotency row: derived keys repeat the calls.

    Raises BillingAPI's and PayAPI's refusals with their codes, ``payment-in-progress`` (409),
    ``product-kind-mismatch`` and ``consent-needs-saved-method`` (422), ``payment-method-not-found``.
    """
    failpoint("user.order.after_key_claim")
    customer = await _check(commerce, user_id, order, wish)
    started = await _start(commerce, customer, order, wish, request_id)
    invoice = started.invoice
    if invoice is None or invoice.amount_due.amount == 0:
        checked = await _keep_method(commerce, request_id, user_id, started.subscription.id, wish)
        return Bought(started.subscription, invoice, checked)
    payment = await start_payment(commerce, request_id, customer, invoice, wish)
    return Bought(started.subscription, invoice, payment)


async def _check(commerce: Commerce, user_id: UUID, order: Order, wish: PaymentWish) -> Customer:
    refuse_useless_consent(wish)
    if wish.consent and order.kind == "one_time":
        raise invalid("consent-not-applicable", "A one-time purchase is charged once; no consent is needed.")
    async with commerce.sessions() as session:
        await require_method(session, user_id, wish.method)
        product = await session.get(CatalogProduct, order.product_id)
        if product is not None and product.kind != order.kind:
            raise invalid("product-kind-mismatch", f"This product is {product.kind.replace('_', '-')}.")
    return await load_customer(commerce.sessions, user_id)


async def _start(
    commerce: Commerce, customer: Customer, order: Order, wish: PaymentWish, request_id: UUID
) -> Started:
    body: dict[str, Any] = {"customer": customer.as_json(), "product_id": str(order.product_id)}
    if order.price_id:
        body["price_id"] = str(order.price_id)
    if order.promo_code:
        body["promo_code"] = order.promo_code
    if order.expected_amount is not None:
        body["expected_amount"] = order.expected_amount.as_json()
    if wish.consent and isinstance(wish.method, SavedMethod):
        # A trial may need a card that can be charged when it ends.
        body["payment_method_id"] = str(wish.method.payment_method_id)
    key = derived_id(request_id, f"start:{customer.fingerprint()}")
    for _ in range(_MAX_STARTS):
        try:
            return await commerce.billing_api.start_subscription(body, key)
        except AppError as refusal:
            if refusal.code != "incomplete-subscription":
                raise
            subscription_id = UUID(str(refusal.extra["subscription_id"]))
            invoice_id = UUID(str(refusal.extra["invoice_id"]))
            await _give_up(commerce, subscription_id, invoice_id, request_id)
    raise unavailable("purchase-contended", "Another purchase of this kind is being made. Try again.", 2)


async def _give_up(commerce: Commerce, subscription_id: UUID, invoice_id: UUID, request_id: UUID) -> None:
    """Closes the user's other incomplete purchase: its payments first, then, if they are closed, itself."""
    # A key of its own each time: PayAPI would replay an earlier "in_flight", and closing twice does no harm.
    result = await commerce.pay_api.close_invoice(invoice_id, new_id())
    if result == "closed":
        key = derived_id(request_id, f"abandon:{subscription_id}")
        await commerce.billing_api.abandon_subscription(subscription_id, key)
        return
    if result == "paid":
        raise conflict(
            "subscription-exists",
            "Another product of this group has just been paid.",
            subscription_id=str(subscription_id),
        )
    async with commerce.sessions() as session:
        payment_id = await session.scalar(
            select(Payment.id).where(Payment.invoice_id == invoice_id).order_by(Payment.id.desc()).limit(1)
        )
    raise conflict(
        "payment-in-progress",
        "Another purchase of this group is being paid right now.",
        **({"payment_id": str(payment_id)} if payment_id else {}),
    )


async def _keep_method(
    commerce: Commerce, request_id: UUID, user_id: UUID, subscription_id: UUID, wish: PaymentWish
) -> Payment | None:
    """Nothing to pay now (a trial, a free period): the method is for what comes later.

    A consent with a saved method holds at once; a new card is checked and saved first. The hosted page takes
    no card without a payment.
    """
    if isinstance(wish.method, CardCryptogram) and wish.method.save_method:
        return await add_payment_method(commerce, request_id, user_id, wish, subscription_id)
    if wish.consent and isinstance(wish.method, SavedMethod):
        await _record_consent(commerce, user_id, subscription_id, wish.consent, wish.method)
    return None


async def _record_consent(
    commerce: Commerce, user_id: UUID, subscription_id: UUID, consent: Consent, method: SavedMethod
) -> None:
    now, method_id = commerce.clock.now(), method.payment_method_id
    async with commerce.sessions.begin() as session:
        held = await consents.lock_of_subscription(session, subscription_id)
        if any(row.status == "active" and row.payment_method_id == method_id for row in held):
            return  # a resumed run
        row = consents.record(
            session,
            consent,
            user_id=user_id,
            subscription_id=subscription_id,
            payment_id=None,
            payment_method_id=method_id,
            now=now,
        )
        await session.flush()
        await consents.activate(session, row, method_id, now)
