"""A subscription at the provider: its dates, its states, its model on the wire (protocol 1.3 and 3)."""

from __future__ import annotations

import calendar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final, Self

from pay_api.sandbox.transaction import amount_number, both_dates, currency_code
from shared.money import minor_to_decimal_text

INTERVALS: Final = {"week": ("Week", 0), "month": ("Month", 1), "day": ("Day", 2)}
TRIES: Final = 3  # failures in a row before it is rejected
_MOMENTS: Final = ("start_at", "anchor_at", "next_at", "last_at")
_DATE: Final = "%Y-%m-%d %H:%M:%S"


class SubscriptionStatus(IntEnum):
    """Only Active 0 and Cancelled 3 are documented; the other numbers are the stand-in's choice."""

    ACTIVE = 0
    PAST_DUE = 1
    REJECTED = 2
    CANCELLED = 3
    EXPIRED = 4

    @property
    def wire_name(self) -> str:
        return self.name.title().replace("_", "")


@dataclass(slots=True, kw_only=True)
class Subscription:
    """``anchor_at`` is the payment from which the periods of ``charged`` count; amounts in minor units."""

    id: str
    token: str
    account_id: str
    description: str
    email: str | None
    amount_minor: int
    currency: str
    require_confirmation: bool
    start_at: datetime
    anchor_at: datetime
    interval: str
    period: int
    max_periods: int | None
    culture_name: str
    receipt: str | None
    next_at: datetime | None
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    charged: int = 0
    succeeded: int = 0
    failed: int = 0
    last_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        return self.next_at is not None and self.next_at <= now

    def book(self, paid: bool, now: datetime) -> bool:
        """Takes in the outcome of an attempt that was due; True when the status changed."""
        assert self.next_at is not None
        before = self.status
        self.last_at = now
        if paid:
            self.succeeded, self.failed, self.charged = self.succeeded + 1, 0, self.charged + 1
            used_up = self.max_periods is not None and self.succeeded >= self.max_periods
            self.status = SubscriptionStatus.EXPIRED if used_up else SubscriptionStatus.ACTIVE
            self.next_at = None if used_up else self._moment(self.charged)
        else:
            self.failed += 1
            rejected = self.failed >= TRIES
            self.status = SubscriptionStatus.REJECTED if rejected else SubscriptionStatus.PAST_DUE
            self.next_at = None if rejected else self.next_at + timedelta(days=1)
        return self.status is not before

    def start_over(self, at: datetime) -> None:
        """The next payment is at that moment; periods count from it. A finished one is active again."""
        self.anchor_at = self.next_at = at
        self.charged = 0
        self.failed = 0
        self.status = SubscriptionStatus.ACTIVE

    def moment_after(self, now: datetime) -> datetime:
        """The first moment of its calendar later than now."""
        number = self.charged
        while (moment := self._moment(number)) <= now:
            number += 1
        return moment

    def _moment(self, number: int) -> datetime:
        return later(self.anchor_at, self.interval, self.period * number)

    def cancel(self) -> bool:
        """True when it was not cancelled before."""
        changed = self.status is not SubscriptionStatus.CANCELLED
        self.status, self.next_at = SubscriptionStatus.CANCELLED, None
        return changed

    def as_model(self) -> dict[str, Any]:
        return {
            "Id": self.id,
            "AccountId": self.account_id,
            "Description": self.description,
            "Email": self.email,
            "Amount": amount_number(self.amount_minor, self.currency),
            "CurrencyCode": currency_code(self.currency),
            "Currency": self.currency,
            "RequireConfirmation": self.require_confirmation,
            **both_dates("Start", self.start_at),
            "IntervalCode": INTERVALS[self.interval.lower()][1],
            "Interval": self.interval,
            "Period": self.period,
            "MaxPeriods": self.max_periods,
            "CultureName": self.culture_name,
            "StatusCode": int(self.status),
            "Status": self.status.wire_name,
            "SuccessfulTransactionsNumber": self.succeeded,
            "FailedTransactionsNumber": self.failed,
            **both_dates("LastTransaction", self.last_at),
            **both_dates("NextTransaction", self.next_at),
            "Receipt": self.receipt,
            "FailoverSchemeId": None,
        }

    def as_notification(self) -> dict[str, str]:
        """Fields of Recurrent."""
        return {
            "Id": self.id,
            "AccountId": self.account_id,
            "Description": self.description,
            "Email": self.email or "",
            "Amount": minor_to_decimal_text(self.amount_minor, self.currency),
            "Currency": self.currency,
            "RequireConfirmation": str(int(self.require_confirmation)),
            "StartDate": self.start_at.strftime(_DATE),
            "Interval": self.interval,
            "Period": str(self.period),
            "Status": self.status.wire_name,
            "SuccessfulTransactionsNumber": str(self.succeeded),
            "FailedTransactionsNumber": str(self.failed),
            "MaxPeriods": str(self.max_periods or ""),
            "LastTransactionDate": self.last_at.strftime(_DATE) if self.last_at else "",
            "NextTransactionDate": self.next_at.strftime(_DATE) if self.next_at else "",
        }

    def as_record(self) -> dict[str, Any]:
        record = asdict(self)
        for name in _MOMENTS:
            record[name] = record[name].isoformat() if record[name] else None
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        values = dict(record)
        for name in _MOMENTS:
            values[name] = datetime.fromisoformat(values[name]) if values[name] else None
        values["status"] = SubscriptionStatus(values["status"])
        return cls(**values)


def later(moment: datetime, interval: str, count: int) -> datetime:
    """So many intervals later in UTC; a month that lacks the day ends on its last one."""
    if interval != "Month":
        return moment + timedelta(days=count * (7 if interval == "Week" else 1))
    months = moment.year * 12 + moment.month - 1 + count
    year, month = divmod(months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.astimezone(UTC).replace(year=year, month=month + 1, day=day)
