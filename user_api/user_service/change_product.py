"""Changes the product of a subscription: BillingAPI opens the change's invoice, PayAPI charges it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from shared.errors import AppError, conflict, invalid, unavailable
from shared.ids import derived_id, new_id
from shared.money import Money
from user_api.clients.billing_api import ProductChange
from user_api.user_service.cancel_subscription import own_subscription
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import Payment
from user_api.user_service.customer import load_customer
from user_api.user_service.start_payment import (
    PaymentWish,
    refuse_useless_consent,
    require_method,
    start_payment,
)

# Asking may meet an earlier change that waits, and after that is closed one from another tab.
_MAX_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Change:
    """What the subscription is to become. ``expected_amount`` is what the user saw to be due now."""

    product_id: UUID
    price_id: UUID | None
    expected_amount: Money | None

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"product_id": str(self.product_id)}
        if self.price_id:
            body["price_id"] = str(self.price_id)
        if self.expected_amount is not None:
            body["expected_amount"] = self.expected_amount.as_json()
        return body


@dataclass(frozen=True, slots=True)
class Changed:
    """``payment`` None: nothing was due now. ``answer`` holds the subscription and the quote."""

    answer: ProductChange
    payment: Payment | None


async def preview_change(
    commerce: Commerce, user_id: UUID, subscription_id: UUID, change: Change, request_id: UUID
) -> ProductChange:
    """What the change would cost now; nothing is written. Raises BillingAPI's refusals."""
    await own_subscription(commerce, user_id, subscription_id)
    body = change.as_json() | {"preview": True}
    return await commerce.billing_api.change_product(subscription_id, body, derived_id(request_id, "preview"))


async def change_product(
    commerce: Commerce,
    user_id: UUID,
    subscription_id: UUID,
    change: Change,
    wish: PaymentWish | None,
    request_id: UUID,
) -> Changed:
    """Repeatable from any point it broke off; rights move by BillingAPI's event once it is paid.

    Raises BillingAPI's and PayAPI's refusals with their codes, ``payment-in-progress`` (409: an earlier
    change is being paid), ``payment-required`` (422: something is due and no method was named).
    """
    await own_subscription(commerce, user_id, subscription_id)
    if wish is not None:
        refuse_useless_consent(wish)
        async with commerce.sessions() as session:
            await require_method(session, user_id, wish.method)
    else:
        await _refuse_unpaid(commerce, user_id, subscription_id, change, request_id)
    answer = await _ask(commerce, subscription_id, change, request_id)
    invoice = answer.invoice
    if invoice is None or invoice.amount_due.amount == 0:
        return Changed(answer, None)
    if wish is None:
        raise _payment_required(invoice.amount_due)
    customer = await load_customer(commerce.sessions, user_id)
    return Changed(answer, await start_payment(commerce, request_id, customer, invoice, wish))


async def _refuse_unpaid(
    commerce: Commerce, user_id: UUID, subscription_id: UUID, change: Change, request_id: UUID
) -> None:
    """Asks before anything is opened that nobody could pay."""
    try:
        seen = await preview_change(commerce, user_id, subscription_id, change, request_id)
    except AppError as refusal:
        if refusal.code == "product-unchanged":
            return  # perhaps a change at the period's end is taken back
        raise
    if seen.quote is not None and seen.quote.amount_due.amount > 0:
        raise _payment_required(seen.quote.amount_due)


def _payment_required(due: Money) -> AppError:
    return invalid("payment-required", "Name how the change is paid.", amount_due=due.as_json())


async def _ask(commerce: Commerce, subscription_id: UUID, change: Change, request_id: UUID) -> ProductChange:
    key = derived_id(request_id, "change")
    for _ in range(_MAX_TRIES):
        try:
            return await commerce.billing_api.change_product(subscription_id, change.as_json(), key)
        except AppError as refusal:
            if refusal.code != "pending-change-open":
                raise
            await _close(commerce, subscription_id, UUID(str(refusal.extra["invoice_id"])))
    raise unavailable("change-contended", "Another change is being made. Try again.", 2)


async def _close(commerce: Commerce, subscription_id: UUID, invoice_id: UUID) -> None:
    """Closes the payments of the change that waits and, if they are closed, the change itself."""
    # A key of its own each time: an earlier "in_flight" would be replayed, and closing twice does no harm.
    if await commerce.pay_api.close_invoice(invoice_id, new_id()) != "closed":
        raise conflict("payment-in-progress", "An earlier change of this subscription is being paid.")
    await commerce.billing_api.command_subscription(subscription_id, "abandon-change", {}, new_id())
