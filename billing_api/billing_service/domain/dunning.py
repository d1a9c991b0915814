"""What follows a failed collection: when to try again, whom to ask, when to give up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.card_limit import ATTEMPTS_PER_CARD, WINDOW_HOURS


class DeclineClass(StrEnum):
    """Classes of a provider's refusal (domain rule 5)."""

    SOFT = "soft"
    HARD = "hard"
    TECHNICAL = "technical"
    AUTHENTICATION = "authentication"


class Next(StrEnum):
    """What to do with an open invoice after its collection failed."""

    RETRY = "retry"
    WAIT_FOR_METHOD = "wait_for_method"
    ASK_USER = "ask_user"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class DunningPolicy:
    """Configurable per product. Days are whole days of 24 hours after the first failure.

    Full access ends with the product's own ``grace_days``, what it leaves of it on ``cancel_day``.
    """

    soft_retry_days: tuple[int, ...] = (1, 3, 5, 7, 14)
    technical_retry_minutes: int = 15
    attempts_per_card: int = ATTEMPTS_PER_CARD
    attempts_window_hours: int = WINDOW_HOURS
    cancel_day: int = 21

    def __post_init__(self) -> None:
        days = self.soft_retry_days
        if list(days) != sorted(set(days)) or any(day < 1 for day in days):
            raise ValueError("retry days rise from 1")
        if self.attempts_per_card < 1 or self.attempts_window_hours < 1 or self.technical_retry_minutes < 1:
            raise ValueError("limits of attempts are positive")
        if self.cancel_day < max(days, default=0):
            raise ValueError("the cancellation comes after every retry")


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed collection attempt, UTC; ``payment_method_id`` names the card."""

    failed_at: datetime
    decline_class: DeclineClass
    payment_method_id: str


@dataclass(frozen=True, slots=True)
class Decision:
    """``at`` is the UTC moment of the retry or of the cancellation."""

    next: Next
    at: datetime


DEFAULT_POLICY = DunningPolicy()


def cancels_at(first_failed_at: datetime, policy: DunningPolicy = DEFAULT_POLICY) -> datetime:
    """The moment at which the subscription is given up."""
    return first_failed_at + timedelta(days=policy.cancel_day)


def decide(
    failures: Sequence[Failure],
    *,
    card_attempted_at: Sequence[datetime] = (),
    policy: DunningPolicy = DEFAULT_POLICY,
) -> Decision:
    """What follows the last of ``failures`` (oldest first, at least one) of an invoice.

    ``card_attempted_at``: other attempts with the last card, on whatever invoice. A retry that would fall on
    or after the day of cancellation is not made; ``at`` is then the cancellation's moment.
    """
    if not failures:
        raise ValueError("nothing has failed")
    last = failures[-1]
    give_up_at = cancels_at(failures[0].failed_at, policy)
    match last.decline_class:
        case DeclineClass.HARD:
            return Decision(Next.WAIT_FOR_METHOD, give_up_at)
        case DeclineClass.AUTHENTICATION:
            return Decision(Next.ASK_USER, give_up_at)
        case DeclineClass.TECHNICAL | DeclineClass.SOFT:
            retry_at = _retry_at(failures, policy)
    if retry_at is not None:
        attempts = [
            *card_attempted_at,
            *(one.failed_at for one in failures if one.payment_method_id == last.payment_method_id),
        ]
        retry_at = allowed_from(attempts, retry_at, policy)
    if retry_at is None or retry_at >= give_up_at:
        return Decision(Next.WAIT_FOR_METHOD, give_up_at)
    return Decision(Next.RETRY, retry_at)


def _retry_at(failures: Sequence[Failure], policy: DunningPolicy) -> datetime | None:
    last = failures[-1]
    technical = [one for one in failures if one.decline_class is DeclineClass.TECHNICAL]
    if last.decline_class is DeclineClass.TECHNICAL and len(technical) == 1:
        return last.failed_at + timedelta(minutes=policy.technical_retry_minutes)
    for day in policy.soft_retry_days:
        at = failures[0].failed_at + timedelta(days=day)
        if at > last.failed_at:
            return at
    return None


def after_new_method(
    now: datetime,
    *,
    first_failed_at: datetime,
    card_attempted_at: Sequence[datetime] = (),
    policy: DunningPolicy = DEFAULT_POLICY,
) -> Decision:
    """Another card: collect at once, unless that very card has used up its attempts, or it is too late."""
    give_up_at = cancels_at(first_failed_at, policy)
    if now >= give_up_at:
        return Decision(Next.CANCEL, give_up_at)
    retry_at = allowed_from(card_attempted_at, now, policy)
    if retry_at >= give_up_at:
        return Decision(Next.WAIT_FOR_METHOD, give_up_at)
    return Decision(Next.RETRY, retry_at)


def allowed_from(
    attempted_at: Sequence[datetime], wanted_at: datetime, policy: DunningPolicy = DEFAULT_POLICY
) -> datetime:
    """The first moment from ``wanted_at`` on at which the card's attempts in any window stay in the limit."""
    window = timedelta(hours=policy.attempts_window_hours)
    earlier = sorted(attempted_at)
    if len(earlier) < policy.attempts_per_card:
        return wanted_at
    return max(wanted_at, earlier[-policy.attempts_per_card] + window)


def is_due(decision: Decision, now: datetime) -> Next | None:
    """What is to be done at ``now``: the retry, or the cancellation; None while there is only waiting."""
    if now < decision.at:
        return None
    return Next.RETRY if decision.next is Next.RETRY else Next.CANCEL
