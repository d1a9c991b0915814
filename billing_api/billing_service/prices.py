"""Which amount of a price holds when: for new customers, and for running subscriptions after a notice."""

from __future__ import annotations

from datetime import date, datetime

from billing_api.billing_service.models import Price, Subscription
from shared.period import start_of_day


def effective_minor(price: Price, now: datetime) -> int:
    """What a new customer pays at ``now``, minor units."""
    if price.next_amount_minor is None or (price.valid_from_at is not None and now < price.valid_from_at):
        return price.amount_minor
    return price.next_amount_minor


def announced_minor(subscription: Subscription) -> int | None:
    """The newest amount, when the admin has set a date from which running subscriptions pay it too.

    None for a price in another currency than the one agreed: its figure says nothing there.
    """
    price = subscription.price
    if price.valid_from_at is None or price.currency != subscription.currency:
        return None
    newest: int = price.amount_minor if price.next_amount_minor is None else price.next_amount_minor
    return newest


def take_new_price(subscription: Subscription, period_start_on: date) -> bool:
    """Sets the agreed price to the announced one for a period that begins at its date or later. Not saved.

    Only after the user has been told (domain rule 3); one told too late keeps the price a period longer.
    """
    price = subscription.price
    announced = announced_minor(subscription)
    begins_at = start_of_day(period_start_on, subscription.time_zone)
    noticed_at = subscription.price_noticed_at
    if announced is None or price.valid_from_at is None or begins_at < price.valid_from_at:
        return False
    if noticed_at is None or subscription.price_noticed_minor != announced or noticed_at >= begins_at:
        return False
    subscription.unit_minor = announced
    subscription.price_noticed_minor = subscription.price_noticed_at = None
    return True
