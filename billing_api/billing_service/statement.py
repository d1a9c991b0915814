"""The statement of a personal account: opening balance, every movement with its document, closing balance."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import Coalesce

from billing_api.billing_service.database import cursor
from billing_api.billing_service.domain.ledger import Account as Chart
from billing_api.billing_service.models import Account, LedgerEntry
from billing_api.billing_service.queries.shapes import moment, money
from shared.errors import invalid
from shared.period import start_of_day

_PAGE: Final = 1000
_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "invoice": ("Счёт {}", "Invoice {}"),
    "payment": ("Оплата картой {}", "Card payment {}"),
    "payment bank_transfer": ("Оплата банковским переводом", "Bank transfer"),
    "refund": ("Возврат на карту", "Refund to card"),
    "refund bank_transfer": ("Возврат банковским переводом", "Refund by bank transfer"),
    "credit_note": ("Кредит-нота {}", "Credit note {}"),
    "adjustment": ("Корректировка: {}", "Adjustment: {}"),
    "adjustment write_off": ("Списание долга по счёту {}", "Debt written off, invoice {}"),
    "reversal": ("Аннулирование счёта {}", "Invoice {} voided"),
}
# A page of movements with the words of their documents. A write-off names its invoice, which a refund of an
# uncollectible one has through its payment; goodwill has no document but the record of why it was given.
_MOVEMENTS_SQL: Final = """
SELECT e.position, e.posted_at, e.amount_minor, t.source_kind, t.source_id,
    coalesce(i.number, n.number, given_up.number),
    CASE t.source_kind
        WHEN 'payment' THEN p.card_mask
        WHEN 'adjustment' THEN (
            SELECT reason FROM audit_record
            WHERE subject_id = t.source_id AND command = 'grant_goodwill' LIMIT 1
        )
    END,
    CASE WHEN t.source_kind <> 'adjustment' THEN coalesce(p.provider, paid.provider)
        WHEN coalesce(i.id, given_up.id) IS NOT NULL THEN 'write_off' END
FROM ledger_entry e
JOIN ledger_transaction t ON t.id = e.transaction_id
LEFT JOIN invoice i ON i.id = t.source_id AND t.source_kind IN ('invoice', 'reversal', 'adjustment')
LEFT JOIN credit_note n ON n.id = t.source_id AND t.source_kind = 'credit_note'
LEFT JOIN payment p ON p.id = t.source_id AND t.source_kind = 'payment'
LEFT JOIN refund r ON r.id = t.source_id AND t.source_kind IN ('refund', 'adjustment')
LEFT JOIN payment paid ON paid.id = r.payment_id
LEFT JOIN invoice given_up ON given_up.id = paid.invoice_id AND t.source_kind = 'adjustment'
WHERE e.account_id = %(account)s AND e.ledger_account = 'customer' AND e.currency = %(currency)s
    AND e.posted_at >= %(starts_at)s AND e.posted_at < %(ends_at)s
    AND e.position > %(after)s AND e.position <= %(last)s
ORDER BY e.position LIMIT %(page)s
"""


@dataclass(frozen=True, slots=True)
class Movement:
    """Amounts in minor units from the customer's view: payments positive, invoices negative."""

    at: datetime
    kind: str
    document_id: UUID
    number: str | None
    description_ru: str
    description_en: str
    amount_minor: int
    balance_minor: int

    def as_json(self, currency: str) -> dict[str, Any]:
        return {
            "at": moment(self.at),
            "document": {"kind": self.kind, "id": str(self.document_id), "number": self.number},
            "description": {"ru": self.description_ru, "en": self.description_en},
            "amount": money(self.amount_minor, currency),
            "balance": money(self.balance_minor, currency),
        }


@dataclass(frozen=True, slots=True)
class Statement:
    """``movements`` are read page by page while they are consumed; sums and their count are known before.

    ``again`` reads the same movements from the start.

    ``charged_minor`` and ``credited_minor`` >= 0: closing = opening - charged + credited.
    """

    user_id: UUID
    currency: str
    time_zone: str
    from_on: date
    to_on: date
    opening_minor: int
    charged_minor: int
    credited_minor: int
    count: int
    movements: Iterator[Movement]
    again: Callable[[], Iterator[Movement]]

    @property
    def closing_minor(self) -> int:
        return self.opening_minor - self.charged_minor + self.credited_minor


def make_statement(user_id: UUID, from_on: date, to_on: date, currency: str | None = None) -> Statement:
    """Days are of the account's zone, both included. Raises ``range-invalid``. An unknown user: all zero.

    One currency of the account, its own when none is named: money never adds up across currencies. What is
    posted after this call is not in it, however long the movements are read.
    """
    if to_on < from_on:
        raise invalid("range-invalid", "The range must not end before it begins.")
    account = Account.objects.filter(user_id=user_id).first()
    if account is None:
        return Statement(
            user_id,
            currency or "RUB",
            "Europe/Moscow",
            from_on,
            to_on,
            0,
            0,
            0,
            0,
            iter(()),
            lambda: iter(()),
        )
    starts_at = start_of_day(from_on, account.time_zone)
    ends_at = start_of_day(to_on + timedelta(days=1), account.time_zone)
    currency = currency or account.currency
    entries = _entries(account, currency)
    last: int = entries.aggregate(last=Coalesce(Max("position"), 0))["last"]
    within = Q(posted_at__gte=starts_at)
    sums = entries.filter(position__lte=last, posted_at__lt=ends_at).aggregate(
        before=Coalesce(Sum("amount_minor", filter=~within), 0),
        charged=Coalesce(Sum("amount_minor", filter=within & Q(amount_minor__gt=0)), 0),
        credited=Coalesce(Sum("amount_minor", filter=within & Q(amount_minor__lt=0)), 0),
        count=Count("id", filter=within),
    )

    def read() -> Iterator[Movement]:
        return _movements(account, currency, starts_at, ends_at, -sums["before"], last)

    return Statement(
        user_id,
        currency,
        account.time_zone,
        from_on,
        to_on,
        -sums["before"],
        sums["charged"],
        -sums["credited"],
        sums["count"],
        read(),
        read,
    )


def statement_view(statement: Statement) -> dict[str, Any]:
    """The JSON body of the contracts, as one value."""
    body: dict[str, Any] = json.loads(b"".join(statement_json(statement)))
    return body


def statement_json(statement: Statement) -> Iterator[bytes]:
    """The JSON body of the contracts, piece by piece: one movement at a time is held."""
    head = {
        "account": {
            "user_id": str(statement.user_id),
            "currency": statement.currency,
            "time_zone": statement.time_zone,
        },
        "from": statement.from_on.isoformat(),
        "to": statement.to_on.isoformat(),
        "opening_balance": money(statement.opening_minor, statement.currency),
    }
    yield f'{json.dumps(head)[:-1]}, "movements": ['.encode()
    for number, movement in enumerate(statement.movements):
        text = orjson.dumps(movement.as_json(statement.currency))
        yield b", " + text if number else text
    closing = json.dumps(money(statement.closing_minor, statement.currency))
    yield f'], "closing_balance": {closing}}}'.encode()


def balance_at(user_id: UUID, at: datetime) -> int:
    """The balance of a personal account, in its own currency, just before a moment (UTC).

    From the customer's view, minor units.
    """
    account = Account.objects.filter(user_id=user_id).first()
    if account is None:
        return 0
    found = (
        _entries(account, account.currency)
        .filter(posted_at__lt=at)
        .aggregate(total=Coalesce(Sum("amount_minor"), 0))
    )
    return -int(found["total"])


def _entries(account: Account, currency: str) -> Any:
    return LedgerEntry.objects.filter(account=account, ledger_account=Chart.CUSTOMER.value, currency=currency)


def _movements(
    account: Account, currency: str, starts_at: datetime, ends_at: datetime, opening: int, last: int
) -> Iterator[Movement]:
    balance, after = opening, 0
    values = {
        "account": str(account.id),
        "currency": currency,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "last": last,
        "page": _PAGE,
    }
    while True:
        with cursor() as database:
            database.execute(_MOVEMENTS_SQL, {**values, "after": after})
            page = database.fetchall()
        for position, posted_at, amount_minor, kind, document_id, number, word, means in page:
            after = position
            balance -= amount_minor
            texts = _TEXTS.get(f"{kind} {means}") or _TEXTS.get(kind, ("{}", "{}"))
            ru, en = (text.format(word or number or "").strip() for text in texts)
            yield Movement(posted_at, kind, document_id, number, ru, en, -amount_minor, balance)
        if len(page) < _PAGE:
            return
