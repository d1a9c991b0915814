"""Pays an open invoice of the user's own: another card after a decline, or a renewal without consent."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from shared.errors import conflict, invalid, not_found
from shared.queue.messages.invoices import InvoiceStatus
from user_api.clients.billing_api import InvoiceView
from user_api.user_service import intents
from user_api.user_service.commerce import Commerce
from user_api.user_service.commerce_models import Payment
from user_api.user_service.customer import load_customer
from user_api.user_service.start_payment import (
    PaymentWish,
    refuse_useless_consent,
    start_payment,
)


@dataclass(frozen=True, slots=True)
class Paid:
    """The invoice as it was when the payment began, and the payment in whatever status it has."""

    invoice: InvoiceView
    payment: Payment


async def pay_invoice(
    commerce: Commerce, user_id: UUID, invoice_id: UUID, wish: PaymentWish, request_id: UUID
) -> Paid:
    """Raises ``invoice-not-found``, ``invoice-not-payable`` (409) and PayAPI's refusals.

    A second pay after the first success, and before its event is known anywhere, is refused by PayAPI
    (409 ``payment-in-progress``): one live or successful payment per invoice.
    """
    refuse_useless_consent(wish)
    invoice = await commerce.billing_api.get_invoice(invoice_id)
    if invoice.user_id != user_id:
        raise not_found("invoice")
    if wish.consent and invoice.subscription_id is None:
        raise invalid("consent-not-applicable", "This invoice belongs to no subscription.")
    async with commerce.sessions() as session:
        resumed = await intents.find_request(session, request_id) is not None
    if not resumed and (invoice.status is not InvoiceStatus.OPEN or invoice.amount_due.amount <= 0):
        raise conflict(
            "invoice-not-payable", "Only an open invoice can be paid.", invoice_status=invoice.status.value
        )
    customer = await load_customer(commerce.sessions, user_id)
    return Paid(invoice, await start_payment(commerce, request_id, customer, invoice, wish))
