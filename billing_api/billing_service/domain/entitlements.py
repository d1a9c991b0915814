"""Until when a subscription gives access, and to what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from billing_api.billing_service.domain.subscription import Kind, Status, Subscription
from shared.period import start_of_day


@dataclass(frozen=True, slots=True)
class Access:
    """``until_at``: UTC moment at which access ends, None with ``granted`` for access for ever.

    ``reduced_until_at``: UTC moment at which what the product leaves after the grace ends; None: nothing is
    left after ``until_at``.
    """

    granted: bool
    until_at: datetime | None
    reduced_until_at: datetime | None = None


def access(subscription: Subscription) -> Access:
    """Until when the subscription gives access, as ``subscription.*`` events carry it (architecture 7).

    End of the paid time plus grace; the bare end when a cancellation is scheduled or the term is over. The
    last period of a term has its grace like any other until it is paid. Where there is grace, what the
    product leaves after it (rule 5: reduced, or nothing) goes on until the day of cancellation.
    """
    status = subscription.status
    if status in (Status.INCOMPLETE, Status.PAUSED):
        # A pause has moved ``paid_through_on`` to its own day, so the moment is never in the future.
        return Access(False, _moment(subscription, subscription.paid_through_on))
    if status in (Status.CANCELLED, Status.EXPIRED):
        return Access(False, _moment(subscription, subscription.ended_on))
    paid = subscription.paid_through_on
    if paid is None:
        return Access(subscription.kind is Kind.ONE_TIME, None)
    grace = subscription.grace_days
    ends_with_term = subscription.term_is_over and not subscription.has_unpaid_period
    bare = subscription.kind is Kind.ONE_TIME or subscription.cancel_at_period_end or ends_with_term
    if bare:
        return Access(True, _moment(subscription, paid))
    end, reduced_end = (
        paid + timedelta(days=days) for days in (grace, max(grace, subscription.reduced_days))
    )
    return Access(True, _moment(subscription, end), _moment(subscription, reduced_end))


def access_until(subscription: Subscription) -> datetime | None:
    """``access(...).until_at`` in UTC; None is for ever when access is granted, never when it is not."""
    return access(subscription).until_at


def _moment(subscription: Subscription, day: date | None) -> datetime | None:
    return None if day is None else start_of_day(day, subscription.time_zone)
