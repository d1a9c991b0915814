"""The life of a subscription: its periods and its changes.

Until when it gives access is said by ``entitlements``, what of it is due by ``due``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from billing_api.billing_service.domain.subscription_states import (
    LIVE,
    ONE_TIME_ACTIONS,
    REASONS,
    TRANSITIONS,
    Action,
    Kind,
    Status,
)
from shared.errors import AppError, conflict
from shared.period import Interval, Period, period_at

__all__ = [
    "LIVE",
    "TRANSITIONS",
    "Action",
    "Kind",
    "Status",
    "Subscription",
]


@dataclass(frozen=True, slots=True)
class Subscription:
    """The values the rules need; dates are of the account's zone, periods half-open.

    ``anchor_on`` with ``next_number`` gives the next period to invoice; ``period`` is the last one invoiced
    (the trial, too). ``paid_through_on`` is the end of what is paid or free. ``term_periods`` is the count of
    invoiced periods after which it ends, ``periods_billed`` how many there are. ``reduced_days`` after the
    paid time end what the product leaves of its rights when the grace is over. ``rental_days`` is for
    ONE_TIME, None for ever. ``remaining_days`` is set while paused. ``ended_on`` is the first day without
    access after the end.
    """

    status: Status
    anchor_on: date
    time_zone: str
    kind: Kind = Kind.RECURRING
    interval: Interval | None = None
    period: Period | None = None
    next_number: int = 0
    periods_billed: int = 0
    term_periods: int | None = None
    paid_through_on: date | None = None
    grace_days: int = 3
    reduced_days: int = 21
    cancel_at_period_end: bool = False
    remaining_days: int | None = None
    rental_days: int | None = None
    ended_on: date | None = None

    def __post_init__(self) -> None:
        if self.kind is Kind.RECURRING and self.interval is None:
            raise ValueError("a recurring subscription needs an interval")
        if self.grace_days < 0 or self.reduced_days < 0:
            raise ValueError("grace is not negative")

    @property
    def term_is_over(self) -> bool:
        """Whether the last period of a fixed term has been invoiced."""
        return self.term_periods is not None and self.periods_billed >= self.term_periods

    @property
    def has_unpaid_period(self) -> bool:
        """Whether a period was invoiced that is not paid yet."""
        paid = self.paid_through_on
        return self.period is not None and (paid is None or paid < self.period.end)


def refusal(subscription: Subscription, action: Action) -> AppError | None:
    """Why ``action`` is not possible now, or None.

    The refusal is a conflict ``subscription-transition-refused`` whose detail is the reason.
    """
    reason = _reason(subscription, action)
    if reason is None:
        return None
    return conflict(
        "subscription-transition-refused",
        reason,
        status=subscription.status.value,
        action=action.value,
    )


def _reason(subscription: Subscription, action: Action) -> str | None:
    status = subscription.status
    if subscription.kind is Kind.ONE_TIME and action not in ONE_TIME_ACTIONS:
        return "A one-time purchase has no periods."
    if (status, action) not in TRANSITIONS:
        if status not in LIVE:
            return f"The subscription is {status.value}; this is final."
        if status is Status.INCOMPLETE:
            return "The first invoice has not been paid yet."
        default = f"A subscription that is {status.value} cannot {action.value.replace('_', ' ')}."
        return REASONS.get((status, action), default)
    scheduled = subscription.cancel_at_period_end
    if action is Action.SCHEDULE_CANCEL and scheduled:
        return "The cancellation is already scheduled."
    if action is Action.UNDO_CANCEL and not scheduled:
        return "No cancellation is scheduled."
    if scheduled and action in (Action.CHANGE_PRODUCT, Action.PAUSE, Action.RENEW):
        return "A cancellation is scheduled; undo it first."
    if action in (Action.PAUSE, Action.CHANGE_PRODUCT) and subscription.has_unpaid_period:
        return "The open invoice must be paid first."
    if action is Action.RENEW and subscription.term_is_over:
        return "The fixed term is over."
    return None


def _moved(subscription: Subscription, action: Action) -> Subscription:
    refused = refusal(subscription, action)
    if refused is not None:
        raise refused
    return replace(subscription, status=TRANSITIONS[subscription.status, action])


def start_trial(subscription: Subscription, *, today: date, days: int) -> Subscription:
    """Begin a trial of whole days; its end becomes the anchor (domain rule 1)."""
    if days < 1:
        raise ValueError("a trial lasts at least a day")
    end = today + timedelta(days=days)
    return replace(
        _moved(subscription, Action.START_TRIAL),
        anchor_on=end,
        next_number=0,
        period=Period(today, end),
        paid_through_on=end,
    )


def shorten_trial(subscription: Subscription, *, end_on: date) -> Subscription:
    """A trial that ends with the beginning of ``end_on`` if it would last longer; counted anew from there.

    ValueError outside a trial.
    """
    if subscription.status is not Status.TRIALING or subscription.period is None:
        raise ValueError("there is no trial to shorten")
    if end_on >= subscription.period.end:
        return subscription
    return replace(
        subscription,
        anchor_on=end_on,
        next_number=0,
        period=Period(subscription.period.start, end_on),
        paid_through_on=end_on,
    )


def next_period(subscription: Subscription) -> Period:
    """The next period to invoice, counted from the anchor. ValueError for a one-time purchase."""
    if subscription.interval is None:
        raise ValueError("a one-time purchase has no periods")
    return period_at(subscription.anchor_on, subscription.interval, subscription.next_number)


def with_next_period(subscription: Subscription) -> Subscription:
    """The subscription after its next period was invoiced (the first one too). Not yet paid."""
    return replace(
        subscription,
        period=next_period(subscription),
        next_number=subscription.next_number + 1,
        periods_billed=subscription.periods_billed + 1,
    )


def activate(subscription: Subscription, *, today: date, period: Period | None = None) -> Subscription:
    """The first invoice is paid (or nothing was due); a one-time purchase starts its rental ``today``.

    ``period``: what that invoice pays for, the last one invoiced when None. Later ones may be open still.
    """
    moved = _moved(subscription, Action.ACTIVATE)
    if subscription.kind is Kind.ONE_TIME:
        days = subscription.rental_days
        until = None if days is None else today + timedelta(days=days)
        return replace(moved, paid_through_on=until)
    return with_period_paid(moved, period or subscription.period)


def with_period_paid(subscription: Subscription, period: Period | None) -> Subscription:
    """Move ``paid_through_on`` to the end of a paid period, never back."""
    if period is None:
        raise ValueError("no period was invoiced yet")
    paid = subscription.paid_through_on
    return replace(subscription, paid_through_on=period.end if paid is None else max(paid, period.end))


def renew(subscription: Subscription) -> Subscription:
    """Take the next period; refused while a cancellation is scheduled or when the term is over."""
    return with_next_period(_moved(subscription, Action.RENEW))


def fail_payment(subscription: Subscription) -> Subscription:
    """A collection failed: past due."""
    return _moved(subscription, Action.FAIL_PAYMENT)


def recover(subscription: Subscription, period: Period | None = None) -> Subscription:
    """The overdue ``period`` was paid after all; None: it is not asked for any more."""
    moved = _moved(subscription, Action.RECOVER)
    return moved if period is None else with_period_paid(moved, period)


def schedule_cancel(subscription: Subscription) -> Subscription:
    """Cancel at the period's end; undone by ``undo_cancel`` until then."""
    return replace(_moved(subscription, Action.SCHEDULE_CANCEL), cancel_at_period_end=True)


def undo_cancel(subscription: Subscription, *, today: date) -> Subscription:
    """Take a scheduled cancellation back; refused once the period has ended."""
    moved = _moved(subscription, Action.UNDO_CANCEL)
    if subscription.period is not None and today >= subscription.period.end:
        raise conflict(
            "subscription-transition-refused",
            "The period has ended.",
            status=subscription.status.value,
            action=Action.UNDO_CANCEL.value,
        )
    return replace(moved, cancel_at_period_end=False)


def cancel(subscription: Subscription, *, today: date) -> Subscription:
    """End it: ``today`` for a cancellation now, the period's end for a scheduled one."""
    return replace(_moved(subscription, Action.CANCEL), ended_on=today, remaining_days=None)


def expire(subscription: Subscription, *, today: date) -> Subscription:
    """A fixed term, a rental, or an unpaid first invoice has come to its end."""
    return replace(_moved(subscription, Action.EXPIRE), ended_on=today)


def pause(subscription: Subscription, *, today: date) -> Subscription:
    """Stop the clock: the days of the paid period after ``today`` are kept.

    The day of the pause has begun: kept too, it would be had anew after every night's pause.
    """
    moved = _moved(subscription, Action.PAUSE)
    paid = subscription.paid_through_on or today
    return replace(moved, remaining_days=max(0, (paid - today).days - 1), paid_through_on=today)


def resume(subscription: Subscription, *, today: date) -> Subscription:
    """Give the kept days from ``today``; the next period is counted from their end, the new anchor.

    On the day of the pause nothing was kept yet: the period goes on as it was.
    """
    moved = _moved(subscription, Action.RESUME)
    period = subscription.period
    if today == subscription.paid_through_on and period is not None and today < period.end:
        return replace(moved, paid_through_on=period.end, remaining_days=None)
    days = subscription.remaining_days or 0
    end = today + timedelta(days=days)
    return replace(
        moved,
        anchor_on=end,
        next_number=0,
        period=Period(today, end) if days else subscription.period,
        paid_through_on=end,
        remaining_days=None,
    )


def days_to_be_had(subscription: Subscription, *, today: date) -> Period | None:
    """The period that runs, None while it is unpaid: what paid the one before it says nothing of its days.

    While paused the kept days, as a resumption ``today`` would give them.
    """
    if subscription.status is not Status.PAUSED:
        return None if subscription.has_unpaid_period else subscription.period
    if today == subscription.paid_through_on:
        return subscription.period
    days = subscription.remaining_days or 0
    return Period(today, today + timedelta(days=days)) if days else None


def extend(subscription: Subscription, *, days: int, today: date) -> Subscription:
    """Lengthen what is paid by whole days; the next period is counted from the new end."""
    if days < 1:
        raise ValueError("extend by at least a day")
    moved = _moved(subscription, Action.EXTEND)
    if subscription.kind is Kind.ONE_TIME:
        paid = subscription.paid_through_on
        return moved if paid is None else replace(moved, paid_through_on=paid + timedelta(days=days))
    start = subscription.period.start if subscription.period else today
    paid = subscription.paid_through_on or today
    # Resumed with nothing kept, the period ended before the pause: what is given begins with the resumption.
    end = max(subscription.period.end if subscription.period else today, paid) + timedelta(days=days)
    # An invoiced period that is not paid stays unpaid: both ends move by the same days.
    paid_through = paid + timedelta(days=days)
    return replace(
        moved, anchor_on=end, next_number=0, period=Period(start, end), paid_through_on=paid_through
    )


def rebase(subscription: Subscription, *, anchor_on: date, interval: Interval) -> Subscription:
    """Another interval from the day of change: that day is the anchor and its first period is invoiced."""
    moved = _moved(subscription, Action.CHANGE_PRODUCT)
    period = period_at(anchor_on, interval, 0)
    return replace(moved, anchor_on=anchor_on, interval=interval, next_number=1, period=period)


def change_product(
    subscription: Subscription, *, interval: Interval, on: date, grace_days: int, term: int | None = None
) -> Subscription:
    """Another product from ``on``, paid for until the end of its period (domain rule 3).

    The same interval keeps anchor and period; another one starts a full period on that day. A trial keeps
    its end, from which the new interval is counted. ``term``: the new product's fixed term in periods, of
    which the one that runs on ``on`` is the first.
    """
    moved = replace(_moved(subscription, Action.CHANGE_PRODUCT), grace_days=grace_days)
    if subscription.status is Status.TRIALING:
        return replace(moved, interval=interval, term_periods=_term_after(moved, term))
    if interval == subscription.interval:
        return replace(moved, term_periods=_term_after(moved, term, running=1))
    rebased = rebase(moved, anchor_on=on, interval=interval)
    assert rebased.period is not None
    # Set, not moved forward: the new period may end before the old one would have.
    return replace(
        rebased,
        paid_through_on=rebased.period.end,
        periods_billed=moved.periods_billed + 1,
        term_periods=_term_after(moved, term),
    )


def _term_after(subscription: Subscription, term: int | None, *, running: int = 0) -> int | None:
    """The count of periods with which a new fixed term ends; ``running`` of them are invoiced already."""
    return None if term is None else subscription.periods_billed - running + term


def change_product_at_boundary(
    subscription: Subscription, *, interval: Interval, grace_days: int, term: int | None = None
) -> Subscription:
    """Another product from the next period on, which is not invoiced yet; another interval counts from it."""
    changed = replace(subscription, grace_days=grace_days, term_periods=_term_after(subscription, term))
    if interval == subscription.interval:
        return changed
    return replace(changed, interval=interval, anchor_on=next_period(subscription).start, next_number=0)
