"""What of a subscription is due on a day: periods to invoice, its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from billing_api.billing_service.domain.subscription import (
    Action,
    Kind,
    Status,
    Subscription,
    next_period,
    with_next_period,
)
from shared.period import Period


@dataclass(frozen=True, slots=True)
class DueRenewals:
    """Periods to invoice now, in order; ``cap_reached`` when more are due than the cap lets through."""

    periods: tuple[Period, ...]
    cap_reached: bool = False


def due_renewals(subscription: Subscription, *, today: date, cap: int) -> DueRenewals:
    """Periods that have begun by ``today`` and are not invoiced yet, in order, at most ``cap``.

    None for a subscription that is not trialing or active, or whose cancellation is scheduled; a past due one
    waits for its open invoice.
    """
    if cap < 1:
        raise ValueError("the cap is positive")
    billable = subscription.status in (Status.TRIALING, Status.ACTIVE)
    if subscription.kind is Kind.ONE_TIME or not billable or subscription.cancel_at_period_end:
        return DueRenewals(())
    periods: list[Period] = []
    ahead = subscription
    while not ahead.term_is_over and next_period(ahead).start <= today:
        if len(periods) == cap:
            return DueRenewals(tuple(periods), cap_reached=True)
        ahead = with_next_period(ahead)
        assert ahead.period is not None
        periods.append(ahead.period)
    return DueRenewals(tuple(periods))


def due_ending(subscription: Subscription, *, today: date) -> Action | None:
    """CANCEL or EXPIRE when the scheduled cancellation, the fixed term or the rental ends by ``today``.

    The last period of a term ends it once it is paid; until then it is dunning's.
    """
    if subscription.kind is Kind.ONE_TIME:
        paid = subscription.paid_through_on
        over = subscription.status is Status.ACTIVE and paid is not None and today >= paid
        return Action.EXPIRE if over else None
    if subscription.status not in (Status.TRIALING, Status.ACTIVE, Status.PAST_DUE):
        return None
    if subscription.period is None or today < subscription.period.end:
        return None
    if subscription.cancel_at_period_end:
        return Action.CANCEL
    if subscription.status is Status.TRIALING or subscription.has_unpaid_period:
        return None
    return Action.EXPIRE if subscription.term_is_over else None
