"""Starts a subscription or a one-time purchase: incomplete with its first open invoice, or a trial."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from billing_api.billing_service import (
    discount_rules,
    events,
    queries,
    settlement,
    subscription_terms,
    trials,
)
from billing_api.billing_service.commands.upsert_customer import hold_account
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.dunning_plan import reduced_days_of
from billing_api.billing_service.invoicing import Terms, issue_invoice
from billing_api.billing_service.models import Account, Invoice, Product, Subscription, TrialUse
from billing_api.billing_service.models.subscription import OVER
from billing_api.billing_service.numbering import Documents
from billing_api.billing_service.offers import CustomerSnapshot, Offer, decide_offer, find_price
from billing_api.billing_service.pricing_inputs import Sale
from shared.errors import conflict
from shared.ids import new_id
from shared.money import Money
from shared.period import Interval, IntervalUnit, start_of_day

# An unpaid first invoice lives this long; then the subscription expires and its promo code is released.
INCOMPLETE_LIFE: Final = timedelta(hours=23)


@dataclass(frozen=True, slots=True)
class SubscriptionStarted:
    """``is_new`` False: the incomplete one of an earlier try was found. No invoice: a trial."""

    subscription_id: UUID
    invoice_id: UUID | None
    is_new: bool


def start_subscription(
    customer: CustomerSnapshot,
    *,
    product_id: UUID,
    price_id: UUID | None = None,
    promo_code: str | None = None,
    expected_amount: Money | None = None,
    payment_method_id: UUID | None = None,
    now: datetime,
) -> SubscriptionStarted:
    """Opens the first invoice (an amount due of 0 is paid at once) or begins the trial.

    ``payment_method_id``: the saved card that the user agreed to be charged with; a trial may need one.

    Raises ``catalog-catching-up``, ``product-not-found``, ``promo-code-*``, ``price-changed`` (with the
    quote), ``subscription-exists``, ``incomplete-subscription``, ``account-blocked``, ``account-erased``,
    ``trial-needs-method``, ``payment-method-unusable``, ``payment-method-catching-up``.
    """
    with atomic():
        account = hold_account(customer, now)
        if account.status != "active":
            raise conflict("account-blocked", "The account is blocked.")
        product, found = find_price(product_id, price_id, now)
        existing = _live(account, product)
        if existing is not None:
            return _resume(existing, found.id, promo_code)
        offer = decide_offer(account, customer, product, found, promo_code, now)
        if expected_amount is not None and expected_amount != offer.amount_due:
            raise conflict("price-changed", "The price is another by now.", quote=queries.quote_view(offer))
        if offer.trial_days:
            trials.require_method(account, product, payment_method_id)
        documents = Documents(now)
        subscription = _open(account, offer, now)
        if offer.trial_days:
            _begin_trial(account, customer, subscription, offer, now)
            invoice = None
        else:
            invoice = _first_invoice(account, subscription, offer, documents, now)
        documents.give_numbers()
        return SubscriptionStarted(subscription.id, invoice.id if invoice else None, True)


def _live(account: Account, product: Product) -> Subscription | None:
    live = Subscription.objects.filter(account=account, kind=product.kind).exclude(status__in=OVER)
    if product.kind == "recurring":
        return live.filter(product_group=product.product_group).first()
    return live.filter(product=product).first()


def _resume(existing: Subscription, price_id: UUID, code: str | None) -> SubscriptionStarted:
    if existing.status != "incomplete":
        raise conflict(
            "subscription-exists",
            "There is a subscription of this kind already.",
            subscription_id=str(existing.id),
        )
    wanted = discount_rules.find_promo_code(code)
    same = existing.price_id == price_id and existing.promo_code_id == (wanted.id if wanted else None)
    if not same:
        raise conflict(
            "incomplete-subscription",
            "An earlier order is not paid yet; close it first.",
            subscription_id=str(existing.id),
            invoice_id=str(existing.latest_invoice_id),
        )
    return SubscriptionStarted(existing.id, existing.latest_invoice_id, False)


def _open(account: Account, offer: Offer, now: datetime) -> Subscription:
    price = offer.price
    value = rules.Subscription(
        status=rules.Status.INCOMPLETE,
        anchor_on=offer.day,
        time_zone=offer.time_zone,
        kind=rules.Kind(offer.product.kind),
        interval=Interval(IntervalUnit(price.interval_unit), price.interval_count)
        if price.interval_unit
        else None,
        term_periods=price.term_periods if price.interval_unit else None,
        grace_days=offer.product.grace_days,
        rental_days=price.access_days,
    )
    if offer.trial_days:
        value = rules.start_trial(value, today=offer.day, days=offer.trial_days)
    elif value.interval is not None:
        value = rules.with_next_period(value)
    subscription = Subscription(
        id=new_id(),
        account=account,
        kind=offer.product.kind,
        product=offer.product,
        price=price,
        product_group=offer.product.product_group,
        promo_code=offer.promo_code,
        unit_minor=price.amount_minor,
        currency=price.currency,
        interval_unit=price.interval_unit,
        interval_count=price.interval_count,
        grace_days=offer.product.grace_days,
        reduced_days=reduced_days_of(offer.product),
        rental_days=price.access_days,
        time_zone=offer.time_zone,
        created_at=now,
    )
    subscription_terms.take(subscription, value, now)
    if offer.trial_days and offer.period is not None:
        subscription.trial_ends_at = start_of_day(offer.period.end, offer.time_zone)
    subscription.save(using="billing", force_insert=True)
    return subscription


def _begin_trial(
    account: Account, customer: CustomerSnapshot, subscription: Subscription, offer: Offer, now: datetime
) -> None:
    TrialUse.objects.create(
        account=account,
        email_hash=customer.email_hash,
        subscription_id=subscription.id,
        started_at=now,
    )
    if offer.promo_code is not None:
        discount_rules.reserve_promo_code(offer.promo_code, account, subscription.id, None, now)
    events.tell_subscription("subscription.created", account, subscription, now)


def _first_invoice(
    account: Account, subscription: Subscription, offer: Offer, documents: Documents, now: datetime
) -> Invoice:
    sale = Sale(
        account,
        subscription.id,
        offer.promo_code,
        offer.sale.currency,
        offer.sale.lines,
        offer.day,
    )
    kind = "purchase" if subscription.kind == "one_time" else "first"
    terms = Terms(kind=kind, due_at=now + INCOMPLETE_LIFE, period=offer.period)
    events.tell_subscription("subscription.created", account, subscription, now)
    invoice = issue_invoice(
        account, subscription, offer.product, sale, terms, documents, now, quote=offer.quote
    )
    if offer.promo_code is not None:
        discount_rules.reserve_promo_code(offer.promo_code, account, subscription.id, invoice.id, now)
    subscription.latest_invoice_id = invoice.id
    subscription.store("latest_invoice_id")
    settlement.settle_if_paid(account, invoice, documents, now)
    return invoice
