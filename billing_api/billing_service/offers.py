"""What buying a product would mean for a customer: the decision shared by the quote and by the purchase."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from billing_api.billing_service import discount_rules, trials
from billing_api.billing_service.domain import promo_codes
from billing_api.billing_service.domain.pricing import LineInput, Quote
from billing_api.billing_service.models import Account, Price, Product, PromoCode
from billing_api.billing_service.prices import effective_minor
from billing_api.billing_service.pricing_inputs import Sale, price, price_next
from shared.errors import invalid, not_found, unavailable
from shared.money import Money
from shared.period import Interval, IntervalUnit, Period, day_in_zone, period_at, start_of_day


@dataclass(frozen=True, slots=True)
class CustomerSnapshot:
    """What UserAPI knows of the customer when it calls; a newer ``sequence`` wins."""

    user_id: UUID
    sequence: int
    locale: str
    time_zone: str
    email_hash: str
    email: str
    document_name: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """``quote`` is None for a trial: nothing is invoiced before its end. Dates are of the account's zone.

    ``renews_at`` is None for what never renews: a one-time product, a fixed term of one period.
    """

    product: Product
    price: Price
    promo_code: PromoCode | None
    time_zone: str
    day: date
    sale: Sale
    quote: Quote | None
    period: Period | None
    trial_days: int
    renews_at: datetime | None
    next_total: Money | None

    @property
    def amount_due(self) -> Money:
        return Money(self.quote.amount_due_minor if self.quote else 0, self.price.currency)


def find_price(product_id: UUID, price_id: UUID | None, now: datetime) -> tuple[Product, Price]:
    """A product on sale and its price (the default one when none is named) with the amount of ``now``.

    Raises ``catalog-catching-up`` (503) for what has not arrived yet, ``product-not-found`` when retired.
    """
    product = Product.objects.filter(id=product_id).first()
    catching_up = unavailable("catalog-catching-up", "This price is not known here yet.", 1)
    if product is None:
        raise catching_up
    if product.status != "published":
        raise not_found("product")
    prices = Price.objects.filter(product=product)
    found = (
        prices.filter(id=price_id).first()
        if price_id
        else prices.filter(is_active=True).order_by("-is_default", "id").first()
    )
    if found is None:
        raise catching_up
    if not found.is_active:
        raise not_found("price")
    found.amount_minor = effective_minor(found, now)
    return product, found


def decide_offer(
    account: Account | None,
    customer: CustomerSnapshot,
    product: Product,
    found: Price,
    code: str | None,
    now: datetime,
) -> Offer:
    """Prices the first invoice of a product for a customer. Raises ``promo-code-*``."""
    time_zone = account.time_zone if account else customer.time_zone
    day = day_in_zone(now, time_zone)
    promo_code = discount_rules.find_promo_code(code)
    if promo_code is not None:
        purchase = promo_codes.Purchase(
            currency=found.currency,
            list_minor_by_product={str(product.id): found.amount_minor},
            is_first_purchase=discount_rules.is_new_customer(account),
        )
        discount_rules.check_promo_code(promo_code, account, purchase, now)
    trial_days = _trial_days(found, customer, account)
    interval = (
        Interval(IntervalUnit(found.interval_unit), found.interval_count) if found.interval_unit else None
    )
    period = period_at(day, interval, 0) if interval else None
    if trial_days:
        period = Period(day, day + timedelta(days=trial_days))
    sale = Sale(
        account, None, promo_code, found.currency, (line_of(found, None if trial_days else period),), day
    )
    quote = None if trial_days else price(sale, now)
    if quote is not None and promo_code is not None:
        _refuse_useless(promo_code, quote)
    renews_at = next_total = None
    is_last = found.term_periods == 1 and not trial_days
    if interval is not None and period is not None and not is_last:
        renews_at = start_of_day(period.end, time_zone)
        following = period_at(period.end, interval, 0) if trial_days else period_at(day, interval, 1)
        lines = (renewal_line(found, following, renews_at),)
        next_total = Money(price_next(sale, quote, now, renews_at, lines), found.currency)
    return Offer(
        product, found, promo_code, time_zone, day, sale, quote, period, trial_days, renews_at, next_total
    )


def line_of(found: Price, period: Period | None) -> LineInput:
    return LineInput(
        key="1",
        product_id=str(found.product_id),
        price_id=str(found.id),
        unit_minor=found.amount_minor,
        minimum_minor=found.minimum_minor or 0,
        period=period,
    )


def renewal_line(found: Price, period: Period, at: datetime) -> LineInput:
    """The line of a later period that begins ``at``: a change of price announced for it is known already."""
    return replace(line_of(found, period), unit_minor=effective_minor(found, at))


def _trial_days(found: Price, customer: CustomerSnapshot, account: Account | None) -> int:
    if found.trial_days <= 0 or not found.interval_unit or trials.had_one(account, customer.email_hash):
        return 0
    return found.trial_days


def _refuse_useless(promo_code: PromoCode, quote: Quote) -> None:
    if all(one.discount_id != str(promo_code.id) for one in quote.discounts):
        raise invalid(
            "promo-code-not-combinable",
            "Another discount is better, or this code brings nothing here.",
            rule="promo-code-not-combinable",
        )
