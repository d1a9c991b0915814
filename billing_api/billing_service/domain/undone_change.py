"""What a subscription is again when its change of product was given back, whatever has moved since."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from billing_api.billing_service.domain.subscription import Subscription
from shared.period import Period, period_at


def take_back_change(subscription: Subscription, before: Subscription, *, on: date) -> Subscription:
    """The terms from before a change of product on ``on``, the newest one invoiced (domain rule 3).

    ``before``: the subscription as it was then. The days that a pause or an extension has added since, and a
    pause that lasts, stay the customer's.
    """
    back = replace(
        subscription,
        interval=before.interval,
        grace_days=before.grace_days,
        reduced_days=before.reduced_days,
        term_periods=before.term_periods,
    )
    if subscription.interval == before.interval:
        return back  # the change had left anchor and period as they were
    if subscription.interval is None or subscription.period is None:
        raise ValueError("a change of product was invoiced for a period")
    if before.period is None or before.paid_through_on is None:
        raise ValueError("a period that is not paid has no change of product")
    back = replace(back, periods_billed=before.periods_billed)
    changed = period_at(on, subscription.interval, 0)
    added = subscription.period.end - changed.end
    if subscription.remaining_days is None:
        back = replace(back, paid_through_on=before.paid_through_on + added)
    else:
        shorter = (changed.end - before.paid_through_on).days
        back = replace(back, remaining_days=max(0, subscription.remaining_days - shorter))
    if not added:
        return replace(back, anchor_on=before.anchor_on, next_number=before.next_number, period=before.period)
    end = before.period.end + added
    resumed_on = subscription.period.start
    start = resumed_on if changed.start < resumed_on < end else before.period.start
    return replace(back, anchor_on=end, next_number=0, period=Period(start, end))
