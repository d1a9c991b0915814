"""The statement of a personal account: opening balance, every movement with its document, closing balance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Sum

from billing_api.billing_service.domain.ledger import Account as Chart
from billing_api.billing_service.models import (
    Account,
    AuditRecord,
    CreditNote,
    Invoice,
    LedgerEntry,
    LedgerTransaction,
    Payment,
    Refund,
)
from billing_api.billing_service.queries.shapes import moment, money
from shared.errors import invalid
from shared.period import start_of_day

_PAGE: Final = 500
_TEXTS: Final[dict[str, tuple[str, str]]] = {
    "invoice": ("Счёт {}", "Invoice {}"),
    "payment": ("Оплата картой {}", "Card payment {}"),
    "refund": ("Возврат на карту", "Refund to card"),
    "credit_note": ("Кредит-нота {}", "Credit note {}"),
    "adjustment": ("Корректировка: {}", "Adjustment: {}"),
    "reversal": ("Аннулирование счёта {}", "Invoice {} voided"),
}


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
    """``movements`` are read page by page while they are consumed; the closing balance is known before."""

    user_id: UUID
    currency: str
    time_zone: str
    from_on: date
    to_on: date
    opening_minor: int
    closing_minor: int
    movements: Iterator[Movement]


def make_statement(user_id: UUID, from_on: date, to_on: date) -> Statement:
    """Days are of the account's zone, both included. Raises ``range-invalid``. An unknown user: all zero."""
    if to_on < from_on:
        raise invalid("range-invalid", "The range must not end before it begins.")
    account = Account.objects.filter(user_id=user_id).first()
    if account is None:
        return Statement(user_id, "RUB", "Europe/Moscow", from_on, to_on, 0, 0, iter(()))
    starts_at = start_of_day(from_on, account.time_zone)
    ends_at = start_of_day(to_on + timedelta(days=1), account.time_zone)
    opening = _balance_at(account, starts_at)
    closing = _balance_at(account, ends_at)
    return Statement(
        user_id,
        account.currency,
        account.time_zone,
        from_on,
        to_on,
        opening,
        closing,
        _movements(account, starts_at, ends_at, opening),
    )


def statement_view(statement: Statement) -> dict[str, Any]:
    """The JSON body of the contracts."""
    return {
        "account": {
            "user_id": str(statement.user_id),
            "currency": statement.currency,
            "time_zone": statement.time_zone,
        },
        "from": statement.from_on.isoformat(),
        "to": statement.to_on.isoformat(),
        "opening_balance": money(statement.opening_minor, statement.currency),
        "movements": [movement.as_json(statement.currency) for movement in statement.movements],
        "closing_balance": money(statement.closing_minor, statement.currency),
    }


def balance_at(user_id: UUID, at: datetime) -> int:
    """The balance of a personal account just before a moment (UTC), from the customer's view, minor units."""
    account = Account.objects.filter(user_id=user_id).first()
    return _balance_at(account, at) if account else 0


def _balance_at(account: Account, at: datetime) -> int:
    found = LedgerEntry.objects.filter(
        account=account,
        ledger_account=Chart.CUSTOMER.value,
        currency=account.currency,
        posted_at__lt=at,
    ).aggregate(total=Sum("amount_minor"))
    return -(found["total"] or 0)


def _movements(account: Account, starts_at: datetime, ends_at: datetime, opening: int) -> Iterator[Movement]:
    balance, after = opening, -1
    entries = LedgerEntry.objects.select_related("transaction").filter(
        account=account,
        ledger_account=Chart.CUSTOMER.value,
        currency=account.currency,
        posted_at__gte=starts_at,
        posted_at__lt=ends_at,
    )
    while page := list(entries.filter(position__gt=after).order_by("position")[:_PAGE]):
        documents = _documents([entry.transaction for entry in page])
        for entry in page:
            balance -= entry.amount_minor
            kind, number, word = documents[entry.transaction_id]
            ru, en = (text.format(word).strip() for text in _TEXTS.get(kind, ("{}", "{}")))
            yield Movement(
                entry.posted_at,
                kind,
                entry.transaction.source_id,
                number,
                ru,
                en,
                -entry.amount_minor,
                balance,
            )
        after = page[-1].position


def _documents(transactions: list[LedgerTransaction]) -> dict[UUID, tuple[str, str | None, str]]:
    """Per transaction: kind, number of its document if it has one, and the word for its description."""
    ids = [row.source_id for row in transactions]
    numbers = dict(Invoice.objects.filter(id__in=ids).values_list("id", "number"))
    notes = dict(CreditNote.objects.filter(id__in=ids).values_list("id", "number"))
    cards = dict(Payment.objects.filter(id__in=ids).values_list("id", "card_mask"))
    reasons = dict(AuditRecord.objects.filter(subject_id__in=ids).values_list("subject_id", "reason"))
    refunds = dict(Refund.objects.filter(id__in=ids).values_list("id", "reason"))
    found: dict[UUID, tuple[str, str | None, str]] = {}
    for row in transactions:
        number = numbers.get(row.source_id) or notes.get(row.source_id)
        word = (
            number
            or cards.get(row.source_id)
            or refunds.get(row.source_id)
            or reasons.get(row.source_id)
            or ""
        )
        if row.source_kind == "adjustment" and row.source_id in numbers:
            word = reasons.get(row.source_id) or str(number)
        found[row.id] = (row.source_kind, number, word)
    return found
