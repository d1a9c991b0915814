"""What a change of product would mean: the decision shared by the preview and by the change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from billing_api.billing_service import subscription_terms
from billing_api.billing_service.domain import proration
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.domain.pricing import Quote
from billing_api.billing_service.domain.proration import ChangeTiming
from billing_api.billing_service.models import Account, Price, Product, Subscription
from billing_api.billing_service.offers import line_of, renewal_line
from billing_api.billing_service.paid_days import PaidRun, paid_run
from billing_api.billing_service.pricing_inputs import Sale, price, price_next
from shared.errors import conflict, invalid
from shared.money import Money
from shared.period import Interval, IntervalUnit, Period, day_in_zone, period_at, start_of_day


@dataclass(frozen=True, slots=True)
class ChangeOffer:
    """``quote`` is None when nothing is invoiced now: in a trial, and at the period's end.

    ``current`` is the product changed from. Nothing renews when the new fixed term is one period. Dates are
    of the subscription's zone, ``lapses_at`` is UTC.
    """

    current: Product
    product: Product
    price: Price
    interval: Interval
    timing: ChangeTiming
    effective_on: date
    moves_anchor: bool
    sale: Sale | None
    quote: Quote | None
    period: Period | None
    lapses_at: datetime | None
    renews_at: datetime | None
    next_total: Money | None

    @property
    def credit_description(self) -> dict[str, str]:
        """What the credit line says, in both languages."""
        title = self.current.title
        return {
            "ru": f"Неиспользованные дни: {title.get('ru', '')}",
            "en": f"Unused days: {title.get('en', '')}",
        }

    @property
    def amount_due(self) -> Money:
        return Money(self.quote.amount_due_minor if self.quote else 0, self.price.currency)


def decide_change(
    account: Account, subscription: Subscription, product: Product, found: Price, now: datetime
) -> ChangeOffer:
    """Dearer now, cheaper at the period's end, in a trial at once (domain rule 3). Writes nothing.

    Raises ``subscription-transition-refused``, ``product-not-in-group``, ``currency-mismatch``,
    ``renewal-due``.
    """
    value = subscription_terms.as_value(subscription)
    refused = rules.refusal(value, rules.Action.CHANGE_PRODUCT)
    if refused is not None:
        raise refused
    interval = _interval_of(subscription, product, found)
    day = day_in_zone(now, subscription.time_zone)
    assert value.interval is not None
    assert value.period is not None
    if day not in value.period:
        raise conflict("renewal-due", "The next period is about to be invoiced; change the product after.")
    new = proration.NewPrice(
        str(product.id), str(found.id), found.amount_minor, interval, found.minimum_minor or 0
    )
    trialing = value.status is rules.Status.TRIALING
    timing = proration.timing(
        current_minor=subscription.unit_minor,
        current_interval=value.interval,
        new=new,
        trialing=trialing,
        policy=_policy(product),
    )
    if trialing or timing is ChangeTiming.AT_PERIOD_END:
        return _without_invoice(account, subscription, value, product, found, interval, timing, day, now)
    return _at_once(account, subscription, value, product, found, new, day, now)


def _interval_of(subscription: Subscription, product: Product, found: Price) -> Interval:
    if product.kind != "recurring" or product.product_group != subscription.product_group:
        raise invalid("product-not-in-group", "A subscription changes within its group of products.")
    if found.currency != subscription.currency:
        raise invalid("currency-mismatch", "The subscription is charged in another currency.")
    assert found.interval_unit is not None
    return Interval(IntervalUnit(found.interval_unit), found.interval_count)


def _policy(product: Product) -> proration.ChangePolicy:
    return proration.ChangePolicy(
        **{name: ChangeTiming(value) for name, value in product.change_policy.items()}
    )


def _at_once(
    account: Account,
    subscription: Subscription,
    value: rules.Subscription,
    product: Product,
    found: Price,
    new: proration.NewPrice,
    day: date,
    now: datetime,
) -> ChangeOffer:
    assert value.interval is not None
    assert value.period is not None
    run = paid_run(subscription, value.period, day)
    plan = proration.plan_change(
        effective_on=day,
        anchor_on=value.anchor_on,
        current_interval=value.interval,
        current_period=run.period,
        paid=run.paid or _nothing_paid(subscription, run),
        new=new,
    )
    sale = Sale(account, subscription.id, subscription.promo_code, found.currency, plan.lines, day)
    quote = price(sale, now)
    # The boundary that comes first is the running period's: the new one begins only with the payment.
    lapses_at = proration.pending_change_lapses_at(
        effective_on=day, next_boundary_on=value.period.end, time_zone=subscription.time_zone
    )
    following = period_at(day, new.interval, 1) if plan.moves_anchor else rules.next_period(value)
    renews_at = start_of_day(following.start, subscription.time_zone)
    next_total = price_next(sale, quote, now, renews_at, (renewal_line(found, following, renews_at),))
    # The period that runs is the first of the new term.
    is_last = found.term_periods == 1
    return ChangeOffer(
        current=subscription.product,
        product=product,
        price=found,
        interval=new.interval,
        timing=ChangeTiming.NOW,
        effective_on=day,
        moves_anchor=plan.moves_anchor,
        sale=sale,
        quote=quote,
        period=plan.period,
        lapses_at=lapses_at,
        renews_at=None if is_last else renews_at,
        next_total=None if is_last else Money(next_total, found.currency),
    )


def _nothing_paid(subscription: Subscription, run: PaidRun) -> proration.PaidDays:
    return proration.PaidDays(str(subscription.product_id), run.period, 0, 0)


def _without_invoice(
    account: Account,
    subscription: Subscription,
    value: rules.Subscription,
    product: Product,
    found: Price,
    interval: Interval,
    timing: ChangeTiming,
    day: date,
    now: datetime,
) -> ChangeOffer:
    at_end = timing is ChangeTiming.AT_PERIOD_END
    grace, term = product.grace_days, found.term_periods
    if at_end and value.term_is_over:
        raise conflict(
            "subscription-transition-refused",
            "The fixed term ends with this period; buy the other product then.",
            status=value.status.value,
            action=rules.Action.CHANGE_PRODUCT.value,
        )
    if at_end:
        changed = rules.change_product_at_boundary(value, interval=interval, grace_days=grace, term=term)
    else:
        changed = rules.change_product(value, interval=interval, on=day, grace_days=grace, term=term)
    following = rules.next_period(changed)
    renews_at = start_of_day(following.start, subscription.time_zone)
    # At the period's end the price asked for is the one agreed: nobody is told of another before it.
    line = line_of(found, following) if at_end else renewal_line(found, following, renews_at)
    lines = (line,)
    sale = Sale(account, subscription.id, subscription.promo_code, found.currency, lines, day)
    return ChangeOffer(
        current=subscription.product,
        product=product,
        price=found,
        interval=interval,
        timing=timing,
        effective_on=following.start if at_end else day,
        moves_anchor=interval != value.interval,
        sale=None,
        quote=None,
        period=None,
        lapses_at=None,
        renews_at=renews_at,
        next_total=Money(price_next(sale, None, now, renews_at, lines), found.currency),
    )
