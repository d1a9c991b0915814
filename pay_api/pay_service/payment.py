"""The life of a payment as a pure table: what each observation does in each status."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.queue.messages.payments import PaymentStatus as Status


class AttemptStatus(StrEnum):
    STARTED = "started"
    CHALLENGE = "challenge"
    AUTHORIZED = "authorized"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class Seen(StrEnum):
    """What was learned about the money of an attempt, from whichever source."""

    CHALLENGED = "challenged"  # the payer must pass 3-D Secure
    AUTHORIZED = "authorized"  # held, not taken
    SUCCEEDED = "succeeded"  # taken
    DECLINED = "declined"  # an explicit refusal
    UNKNOWN = "unknown"  # no verdict: it may have happened
    NO_EFFECT = "no_effect"  # certain that nothing happened
    VOIDED = "voided"  # the hold was given back
    MISMATCH = "mismatch"  # money moved, but not the sum, currency or account we asked for


@dataclass(frozen=True, slots=True)
class Move:
    """The payment takes this status; ``late`` marks money that came after the payment had been closed."""

    to: Status
    late: bool = False


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing changes. ``alarming``: the observation contradicts what is known; it is counted and logged."""

    alarming: bool = False


Decision = Move | Stay

LIVE: Final = frozenset(
    {
        Status.CREATED,
        Status.PROCESSING,
        Status.ACTION_REQUIRED,
        Status.AUTHORIZED,
        Status.UNKNOWN,
        Status.NEEDS_REVIEW,
        Status.SUCCEEDED,
        Status.PARTIALLY_REFUNDED,
    }
)
IN_FLIGHT: Final = frozenset({Status.PROCESSING, Status.UNKNOWN, Status.NEEDS_REVIEW})
PAID: Final = frozenset({Status.SUCCEEDED, Status.PARTIALLY_REFUNDED})
# The payer's stream ends here: nothing more is going to happen by itself.
FINAL: Final = frozenset(
    {
        Status.SUCCEEDED,
        Status.FAILED,
        Status.CANCELLED,
        Status.PARTIALLY_REFUNDED,
        Status.REFUNDED,
        Status.NEEDS_REVIEW,
    }
)

# Every lawful step; the migration holds the same list and a trigger enforces it.
EDGES: Final[dict[Status, frozenset[Status]]] = {
    Status.CREATED: frozenset(
        {
            Status.PROCESSING,
            Status.ACTION_REQUIRED,  # the hosted checkout waits for a card
            Status.CANCELLED,
            Status.FAILED,
            Status.NEEDS_REVIEW,
        }
    ),
    Status.PROCESSING: frozenset(
        {
            Status.ACTION_REQUIRED,
            Status.AUTHORIZED,
            Status.SUCCEEDED,
            Status.FAILED,
            Status.CANCELLED,
            Status.UNKNOWN,
            Status.NEEDS_REVIEW,
            Status.CREATED,  # a queued charge that was certainly not executed waits for its next turn
        }
    ),
    Status.ACTION_REQUIRED: frozenset(
        {
            Status.PROCESSING,
            Status.ACTION_REQUIRED,  # a card was declined in the hosted checkout: another may be tried
            Status.AUTHORIZED,
            Status.SUCCEEDED,
            Status.FAILED,
            Status.CANCELLED,
            Status.NEEDS_REVIEW,
        }
    ),
    Status.AUTHORIZED: frozenset({Status.SUCCEEDED, Status.CANCELLED, Status.NEEDS_REVIEW}),
    Status.UNKNOWN: frozenset(
        {
            Status.ACTION_REQUIRED,
            Status.AUTHORIZED,
            Status.SUCCEEDED,
            Status.FAILED,
            Status.CANCELLED,
            Status.NEEDS_REVIEW,
        }
    ),
    Status.NEEDS_REVIEW: frozenset({Status.AUTHORIZED, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED}),
    Status.SUCCEEDED: frozenset({Status.PARTIALLY_REFUNDED, Status.REFUNDED}),
    Status.PARTIALLY_REFUNDED: frozenset({Status.PARTIALLY_REFUNDED, Status.REFUNDED}),
    Status.REFUNDED: frozenset(),
    Status.FAILED: frozenset({Status.SUCCEEDED, Status.AUTHORIZED, Status.NEEDS_REVIEW}),
    Status.CANCELLED: frozenset({Status.SUCCEEDED, Status.AUTHORIZED, Status.NEEDS_REVIEW}),
}

_STAY: Final = Stay()
_ALARM: Final = Stay(alarming=True)
_REVIEW: Final = Move(Status.NEEDS_REVIEW)
_LATE_REVIEW: Final = Move(Status.NEEDS_REVIEW, late=True)
_WAITING: Final[dict[Seen, Decision]] = {
    Seen.CHALLENGED: Move(Status.ACTION_REQUIRED),
    Seen.AUTHORIZED: Move(Status.AUTHORIZED),
    Seen.SUCCEEDED: Move(Status.SUCCEEDED),
    Seen.DECLINED: Move(Status.FAILED),
    Seen.UNKNOWN: _STAY,
    Seen.NO_EFFECT: Move(Status.FAILED),
    Seen.VOIDED: Move(Status.CANCELLED),
    Seen.MISMATCH: _REVIEW,
}
_TAKEN: Final[dict[Seen, Decision]] = {
    **dict.fromkeys(Seen, _STAY),
    Seen.VOIDED: _ALARM,
    Seen.MISMATCH: _ALARM,
}
_OVER: Final[dict[Seen, Decision]] = {
    **dict.fromkeys(Seen, _STAY),
    Seen.SUCCEEDED: Move(Status.SUCCEEDED, late=True),
    Seen.AUTHORIZED: Move(Status.AUTHORIZED, late=True),
    Seen.MISMATCH: _LATE_REVIEW,
}

TABLE: Final[dict[Status, dict[Seen, Decision]]] = {
    Status.CREATED: {
        **dict.fromkeys(Seen, _STAY),
        Seen.NO_EFFECT: Move(Status.FAILED),
        Seen.SUCCEEDED: _REVIEW,  # nothing was sent: money cannot have moved
        Seen.AUTHORIZED: _REVIEW,
        Seen.MISMATCH: _REVIEW,
    },
    Status.PROCESSING: {**_WAITING, Seen.UNKNOWN: Move(Status.UNKNOWN)},
    Status.UNKNOWN: _WAITING,
    Status.ACTION_REQUIRED: {**_WAITING, Seen.CHALLENGED: _STAY},
    Status.AUTHORIZED: {
        **dict.fromkeys(Seen, _STAY),
        Seen.SUCCEEDED: Move(Status.SUCCEEDED),
        Seen.VOIDED: Move(Status.CANCELLED),
        Seen.MISMATCH: _REVIEW,
    },
    Status.NEEDS_REVIEW: {
        **_WAITING,
        Seen.CHALLENGED: _STAY,
        Seen.NO_EFFECT: _STAY,
        Seen.MISMATCH: _STAY,
    },
    Status.SUCCEEDED: _TAKEN,
    Status.PARTIALLY_REFUNDED: _TAKEN,
    Status.REFUNDED: _TAKEN,
    Status.FAILED: _OVER,
    Status.CANCELLED: _OVER,
}


def decide(
    status: Status, seen: Seen, *, voided: bool = False, frozen: bool = False, reopens: bool = False
) -> Decision:
    """What an observation does to a payment.

    ``voided``: its hold was given back before, so an old "authorized" means nothing and "succeeded"
    cannot be. ``frozen``: it is under review for a mismatch, which only a person ends. ``reopens``: a
    decline ends the attempt alone and the payer may try another card (hosted checkout).
    """
    if frozen and status is Status.NEEDS_REVIEW:
        return _STAY
    if voided and status is Status.CANCELLED:
        after_void: dict[Seen, Decision] = {Seen.AUTHORIZED: _STAY, Seen.SUCCEEDED: _LATE_REVIEW}
        return after_void.get(seen, TABLE[status][seen])
    decision = TABLE[status][seen]
    may_reopen = reopens and Status.ACTION_REQUIRED in EDGES[status]
    if may_reopen and status is not Status.CREATED and decision == Move(Status.FAILED):
        return Move(Status.ACTION_REQUIRED)
    return decision


def decide_ended(status: Status, seen: Seen, *, awaits_card: bool) -> Decision:
    """What is learned late about a hosted payment's attempt that had ended, while the payment lives on.

    Its declines mean nothing any more. Its money pays the payment if no other attempt is at work;
    beside another one it is for a person to look at.
    """
    if status in (Status.FAILED, Status.CANCELLED):
        return TABLE[status][seen]
    if seen not in (Seen.SUCCEEDED, Seen.AUTHORIZED, Seen.MISMATCH):
        return _STAY
    if awaits_card:
        return TABLE[Status.ACTION_REQUIRED][seen]
    return _REVIEW if Status.NEEDS_REVIEW in EDGES[status] else _ALARM


ATTEMPT_AFTER: Final[dict[Status, AttemptStatus]] = {
    Status.PROCESSING: AttemptStatus.STARTED,
    Status.ACTION_REQUIRED: AttemptStatus.CHALLENGE,
    Status.AUTHORIZED: AttemptStatus.AUTHORIZED,
    Status.SUCCEEDED: AttemptStatus.SUCCEEDED,
    Status.FAILED: AttemptStatus.DECLINED,
    Status.CANCELLED: AttemptStatus.CLOSED,
    Status.UNKNOWN: AttemptStatus.UNKNOWN,
    Status.NEEDS_REVIEW: AttemptStatus.UNKNOWN,
    Status.CREATED: AttemptStatus.CLOSED,
}


def after_refund(captured_minor: int, refunded_minor: int) -> Status:
    """The status of a captured payment by its totals (minor units); refunded is 1..captured."""
    if not 0 < refunded_minor <= captured_minor:
        raise ValueError("refunds are between nothing and what was captured")
    return Status.REFUNDED if refunded_minor == captured_minor else Status.PARTIALLY_REFUNDED
