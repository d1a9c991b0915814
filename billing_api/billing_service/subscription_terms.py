"""Turns a stored subscription into the value the rules work with, and back."""

from __future__ import annotations

from datetime import datetime

from billing_api.billing_service.domain import entitlements
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.models import Subscription
from shared.period import Interval, IntervalUnit, Period, start_of_day


def period_of(start: object, end: object) -> Period | None:
    return Period(start, end) if start is not None and end is not None else None  # type: ignore[arg-type]


def as_value(row: Subscription) -> rules.Subscription:
    """The value of a row."""
    return rules.Subscription(
        status=rules.Status(row.status),
        anchor_on=row.anchor_on,
        time_zone=row.time_zone,
        kind=rules.Kind(row.kind),
        interval=Interval(IntervalUnit(row.interval_unit), row.interval_count) if row.interval_unit else None,
        period=period_of(row.period_start_on, row.period_end_on),
        next_number=row.next_number,
        periods_billed=row.periods_billed,
        term_periods=row.term_periods,
        paid_through_on=row.paid_through_on,
        grace_days=row.grace_days,
        reduced_days=row.reduced_days,
        cancel_at_period_end=row.cancel_at_period_end,
        remaining_days=row.remaining_days,
        rental_days=row.rental_days,
        ended_on=row.ended_on,
    )


def take(row: Subscription, value: rules.Subscription, now: datetime) -> None:
    """Sets the row's columns from a decided value; access and the next invoice follow from it. Not saved."""
    row.status = value.status.value
    row.anchor_on = value.anchor_on
    row.next_number = value.next_number
    row.term_periods = value.term_periods
    row.periods_billed = value.periods_billed
    row.period_start_on = value.period.start if value.period else None
    row.period_end_on = value.period.end if value.period else None
    row.paid_through_on = value.paid_through_on
    row.cancel_at_period_end = value.cancel_at_period_end
    row.remaining_days = value.remaining_days
    row.ended_on = value.ended_on
    access = entitlements.access(value)
    row.grants_access, row.access_until = access.granted, access.until_at
    billable = value.kind is rules.Kind.RECURRING and value.status in (
        rules.Status.TRIALING,
        rules.Status.ACTIVE,
    )
    row.next_invoice_at = (
        start_of_day(rules.next_period(value).start, value.time_zone)
        if billable and not value.term_is_over
        else None
    )
    row.updated_at = now


def reduced_until(row: Subscription) -> datetime | None:
    """Until when what the product leaves after the grace holds (UTC); None: nothing is left."""
    return entitlements.access(as_value(row)).reduced_until_at
