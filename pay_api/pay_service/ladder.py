"""When the provider is asked again about an outcome that is not known, and what may be done by then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

THREEDS_LIFETIME: Final = timedelta(minutes=30)
# The provider keeps a result for one hour under its request id and may work on a call for five minutes:
# between these it is safe to send the same request again, and only then.
RESEND_FROM: Final = timedelta(minutes=6)
RESEND_UNTIL: Final = timedelta(minutes=50)
# "Not found" is believed at this age, when two answers this far apart agree.
BELIEVE_MISS_AFTER: Final = timedelta(minutes=10)
BETWEEN_MISSES: Final = timedelta(minutes=2)
GIVE_UP_AFTER: Final = timedelta(hours=24)
# A fiscal receipt is printed within seconds; one that has not come is looked for so long after its money
# moved, then every day. From a day on it is overdue.
RECEIPT_LADDER: Final = (timedelta(minutes=5), timedelta(hours=1))
RECEIPT_OVERDUE_AFTER: Final = timedelta(days=1)
_CLOCK_SLACK: Final = timedelta(minutes=1)


def _steps() -> Iterator[timedelta]:
    yield timedelta(seconds=20)
    for minutes in (1, 2, 5, 10, 15):
        yield timedelta(minutes=minutes)
    for quarter in range(2, 9):
        yield timedelta(minutes=15 * quarter)
    for hours in range(3, 25):
        yield timedelta(hours=hours)


LADDER: Final = tuple(_steps())


def next_query_at(sent_at: datetime, now: datetime) -> datetime:
    """The next rung after now; beyond the ladder, an hour from now."""
    age = now - sent_at
    for rung in LADDER:
        if rung > age:
            return sent_at + rung
    return now + timedelta(hours=1)


def next_receipt_look_at(expected_at: datetime, now: datetime) -> datetime:
    """The next rung after now; beyond them the next whole day since it was expected."""
    age = now - expected_at
    for rung in RECEIPT_LADDER:
        if rung > age:
            return expected_at + rung
    return expected_at + (age // RECEIPT_OVERDUE_AFTER + 1) * RECEIPT_OVERDUE_AFTER


def may_resend(first_sent_at: datetime, last_sent_at: datetime, now: datetime) -> bool:
    """Inside the provider's window, counted from the first sending, and not while a call may still run."""
    return now - first_sent_at <= RESEND_UNTIL and now - last_sent_at >= RESEND_FROM


def believes_miss(last_sent_at: datetime, last_missed_at: datetime | None, now: datetime) -> bool:
    """Whether this "not found" is the second of two that count."""
    return (
        now - last_sent_at >= BELIEVE_MISS_AFTER
        and last_missed_at is not None
        and now - last_missed_at >= BETWEEN_MISSES
    )


def register_span(first_sent_at: datetime, now: datetime) -> tuple[datetime, datetime]:
    """The part of the provider's register in which an operation must stand."""
    return first_sent_at - _CLOCK_SLACK, now + _CLOCK_SLACK
