"""The states of a subscription, what may happen in each, and why the rest is refused."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Stored states; a scheduled cancellation is the flag ``cancel_at_period_end``, not a state."""

    INCOMPLETE = "incomplete"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Action(StrEnum):
    """What can happen to a subscription."""

    START_TRIAL = "start_trial"
    ACTIVATE = "activate"
    RENEW = "renew"
    FAIL_PAYMENT = "fail_payment"
    RECOVER = "recover"
    PAUSE = "pause"
    RESUME = "resume"
    SCHEDULE_CANCEL = "schedule_cancel"
    UNDO_CANCEL = "undo_cancel"
    CHANGE_PRODUCT = "change_product"
    EXTEND = "extend"
    CANCEL = "cancel"
    EXPIRE = "expire"


class Kind(StrEnum):
    """``RECURRING`` has periods; ``ONE_TIME`` is bought once, for ever or for a number of rental days."""

    RECURRING = "recurring"
    ONE_TIME = "one_time"


LIVE: Final = frozenset(Status) - {Status.CANCELLED, Status.EXPIRED}

# (state, action) -> next state. What is not here is refused.
TRANSITIONS: Final[dict[tuple[Status, Action], Status]] = {
    (Status.INCOMPLETE, Action.START_TRIAL): Status.TRIALING,
    (Status.INCOMPLETE, Action.ACTIVATE): Status.ACTIVE,
    (Status.INCOMPLETE, Action.CANCEL): Status.CANCELLED,
    (Status.INCOMPLETE, Action.EXPIRE): Status.EXPIRED,
    (Status.TRIALING, Action.RENEW): Status.TRIALING,
    (Status.TRIALING, Action.ACTIVATE): Status.ACTIVE,
    (Status.TRIALING, Action.FAIL_PAYMENT): Status.PAST_DUE,
    (Status.TRIALING, Action.SCHEDULE_CANCEL): Status.TRIALING,
    (Status.TRIALING, Action.UNDO_CANCEL): Status.TRIALING,
    (Status.TRIALING, Action.CHANGE_PRODUCT): Status.TRIALING,
    (Status.TRIALING, Action.EXTEND): Status.TRIALING,
    (Status.TRIALING, Action.CANCEL): Status.CANCELLED,
    (Status.ACTIVE, Action.RENEW): Status.ACTIVE,
    (Status.ACTIVE, Action.FAIL_PAYMENT): Status.PAST_DUE,
    (Status.ACTIVE, Action.PAUSE): Status.PAUSED,
    (Status.ACTIVE, Action.SCHEDULE_CANCEL): Status.ACTIVE,
    (Status.ACTIVE, Action.UNDO_CANCEL): Status.ACTIVE,
    (Status.ACTIVE, Action.CHANGE_PRODUCT): Status.ACTIVE,
    (Status.ACTIVE, Action.EXTEND): Status.ACTIVE,
    (Status.ACTIVE, Action.CANCEL): Status.CANCELLED,
    (Status.ACTIVE, Action.EXPIRE): Status.EXPIRED,
    (Status.PAST_DUE, Action.RECOVER): Status.ACTIVE,
    (Status.PAST_DUE, Action.FAIL_PAYMENT): Status.PAST_DUE,
    (Status.PAST_DUE, Action.SCHEDULE_CANCEL): Status.PAST_DUE,
    (Status.PAST_DUE, Action.UNDO_CANCEL): Status.PAST_DUE,
    (Status.PAST_DUE, Action.CANCEL): Status.CANCELLED,
    (Status.PAST_DUE, Action.EXPIRE): Status.EXPIRED,
    (Status.PAUSED, Action.RESUME): Status.ACTIVE,
    (Status.PAUSED, Action.CANCEL): Status.CANCELLED,
}

# Why an action is refused in a state; the general ones are worded where they are found.
REASONS: Final[dict[tuple[Status, Action], str]] = {
    (Status.TRIALING, Action.PAUSE): "A trial cannot be paused; it can be cancelled.",
    (Status.PAST_DUE, Action.PAUSE): "The open invoice must be paid before a pause.",
    (Status.PAST_DUE, Action.CHANGE_PRODUCT): "The open invoice must be paid before the product is changed.",
    (Status.PAST_DUE, Action.RENEW): "The open invoice must be paid before the next period.",
    (Status.PAUSED, Action.CHANGE_PRODUCT): "Resume the subscription before its product is changed.",
    (Status.TRIALING, Action.RECOVER): "There is no overdue invoice.",
    (Status.ACTIVE, Action.RECOVER): "There is no overdue invoice.",
    (Status.PAUSED, Action.RENEW): "A paused subscription is not invoiced.",
    (Status.PAUSED, Action.SCHEDULE_CANCEL): "A paused subscription has no running period; cancel it now.",
}

# What a purchase without periods can go through.
ONE_TIME_ACTIONS: Final = frozenset({Action.ACTIVATE, Action.CANCEL, Action.EXPIRE, Action.EXTEND})
