"""Changes the product of a subscription: at once with an invoice, or at the end of the period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import changes, orders, queries, settlement
from billing_api.billing_service.change_offers import ChangeOffer, decide_change
from billing_api.billing_service.commands.abandon_subscription import hold_subscription
from billing_api.billing_service.commands.cancel_payment import refuse_while_open
from billing_api.billing_service.database import atomic
from billing_api.billing_service.invoicing import Terms, issue_invoice
from billing_api.billing_service.models import (
    Account,
    Invoice,
    OutgoingOrder,
    PendingChange,
    Price,
    Subscription,
)
from billing_api.billing_service.numbering import Documents
from billing_api.billing_service.offers import find_price
from billing_api.billing_service.paid_days import paid_with
from shared.errors import conflict
from shared.money import Money
from shared.period import day_in_zone


@dataclass(frozen=True, slots=True)
class ProductChanged:
    """``offer`` is None for a change that was open already, or that was taken back.

    ``invoice_id`` None: nothing is invoiced now.
    """

    subscription_id: UUID
    invoice_id: UUID | None
    offer: ChangeOffer | None


def change_product(
    subscription_id: UUID,
    *,
    product_id: UUID,
    price_id: UUID | None = None,
    expected_amount: Money | None = None,
    preview: bool = False,
    user_id: UUID | None = None,
    now: datetime,
) -> ProductChanged:
    """Domain rule 3. ``preview`` decides and writes nothing; its figure is the later charge.

    A dearer product: an open invoice, carried out when it is paid (an amount due of 0 at once). The product
    and price of today's open change give the same invoice again; those the subscription has take a change at
    the period's end back. Raises ``subscription-not-found``, ``catalog-catching-up``, ``product-not-found``,
    ``price-changed`` (with the quote), ``product-unchanged``, ``pending-change-open`` (another one waits for
    its payment: close it, then ``abandon_change``), ``account-blocked``, ``cancellation-open`` and what
    ``decide_change`` refuses.
    """
    with atomic():
        subscription = hold_subscription(subscription_id, user_id)
        account = subscription.account
        if account.status != "active":
            raise conflict("account-blocked", "The account is blocked.")
        refuse_while_open(subscription_id=subscription.id)
        _refuse_while_refunded(subscription)
        product, found = find_price(product_id, price_id, now)
        waiting = changes.open_change(subscription)
        if waiting is not None and waiting.invoice_id is not None and not preview:
            return _again(subscription, waiting, found, now)
        if subscription.price_id == found.id:
            return _keep(subscription, waiting, preview, now)
        offer = decide_change(account, subscription, product, found, now)
        if preview:
            return ProductChanged(subscription.id, None, offer)
        if expected_amount is not None and expected_amount != offer.amount_due:
            raise conflict("price-changed", "The price is another by now.", quote=queries.change_view(offer))
        if waiting is not None:
            changes.settle(waiting, "replaced", now)
        documents = Documents(now)
        invoice = _write(account, subscription, offer, documents, now)
        documents.give_numbers()
        return ProductChanged(subscription.id, invoice.id if invoice else None, offer)


def _refuse_while_refunded(subscription: Subscription) -> None:
    """The same money would be credited by the change and go back as well."""
    ordered = OutgoingOrder.objects.filter(
        account=subscription.account, kind="refund", state__in=("pending", "sent"), credit_note_id=None
    )
    if ordered.filter(invoice_id__in=[invoice.id for invoice in paid_with(subscription)]).exists():
        raise conflict("cancellation-open", "A payment of it is going back; wait for its end.")


def _again(subscription: Subscription, waiting: PendingChange, found: Price, now: datetime) -> ProductChanged:
    today = day_in_zone(now, subscription.time_zone)
    if waiting.price_id != found.id or waiting.effective_on != today:
        raise conflict(
            "pending-change-open",
            "Another change waits for its payment; close it first.",
            subscription_id=str(subscription.id),
            invoice_id=str(waiting.invoice_id),
        )
    return ProductChanged(subscription.id, waiting.invoice_id, None)


def _keep(
    subscription: Subscription, waiting: PendingChange | None, preview: bool, now: datetime
) -> ProductChanged:
    if waiting is None or preview:
        raise conflict("product-unchanged", "The subscription has this product and price already.")
    changes.settle(waiting, "replaced", now)
    return ProductChanged(subscription.id, None, None)


def _write(
    account: Account, subscription: Subscription, offer: ChangeOffer, documents: Documents, now: datetime
) -> Invoice | None:
    change = PendingChange(
        account=account,
        subscription=subscription,
        product=offer.product,
        price=offer.price,
        timing=offer.timing.value,
        effective_on=offer.effective_on,
        lapses_at=offer.lapses_at,
        unit_minor=offer.price.amount_minor,
        currency=offer.price.currency,
        interval_unit=offer.interval.unit.value,
        interval_count=offer.interval.count,
        term_periods=offer.price.term_periods,
        moves_anchor=offer.moves_anchor,
        terms_before=changes.terms(subscription),
        state="open",
        created_at=now,
    )
    change.save(using="billing", force_insert=True)
    if offer.sale is None or offer.lapses_at is None:
        if change.timing == "now":
            changes.carry_out(account, subscription, change, now)
        return None
    terms = Terms(
        kind="change",
        due_at=offer.lapses_at,
        period=offer.period,
        credit_description=offer.credit_description,
    )
    invoice = issue_invoice(
        account, subscription, offer.product, offer.sale, terms, documents, now, quote=offer.quote
    )
    change.invoice = invoice
    change.store("invoice")
    settlement.settle_if_paid(account, invoice, documents, now)
    return invoice


def abandon_change(subscription_id: UUID, *, user_id: UUID | None = None, now: datetime) -> ProductChanged:
    """Voids the invoice of a change that waits; only after close-payments answered ``closed``.

    Nothing waiting: nothing happens. Raises ``subscription-not-found``.
    """
    with atomic():
        subscription = hold_subscription(subscription_id, user_id)
        waiting = changes.open_change(subscription)
        if waiting is not None:
            changes.settle(waiting, "replaced", now)
            invoice = waiting.invoice
            if invoice is not None and invoice.status == "open":
                orders.withdraw_closing(invoice, now)
                settlement.void(subscription.account, invoice, now)
        return ProductChanged(subscription.id, None, None)
