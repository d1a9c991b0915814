"""Writes ledger transactions, keeps the stored balance of each personal account, and reads balances."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Sum

from billing_api.billing_service.domain import ledger
from billing_api.billing_service.models import (
    Account,
    AccountBalance,
    Invoice,
    LedgerEntry,
    LedgerTransaction,
)
from shared.errors import broken_invariant


def post(transaction: ledger.Transaction | None, account: Account, now: datetime) -> UUID | None:
    """Writes a transaction of the held account; gives its id, None when nothing moves.

    A second posting of one source is refused by the database (IntegrityError).
    """
    if transaction is None:
        return None
    row = LedgerTransaction.objects.create(
        account=account,
        source_kind=transaction.source_kind.value,
        source_id=transaction.source_id,
        reverses_id=transaction.reverses,
        posted_at=now,
    )
    entries = []
    for entry in transaction.entries:
        position = 0
        if entry.account is ledger.Account.CUSTOMER:
            if entry.owner_id != account.id:
                raise broken_invariant("ledger-owner", "the entry belongs to another personal account")
            position = _advance_balance(account, entry.currency, entry.amount_minor)
        entries.append(
            LedgerEntry(
                account=account,
                transaction=row,
                ledger_account=entry.account.value,
                amount_minor=entry.amount_minor,
                currency=entry.currency,
                position=position,
                posted_at=now,
            )
        )
    LedgerEntry.objects.bulk_create(entries)
    return row.id


def _advance_balance(account: Account, currency: str, amount_minor: int) -> int:
    balance, _ = AccountBalance.objects.get_or_create(account=account, currency=currency)
    balance.balance_minor += amount_minor
    balance.entry_count += 1
    balance.store("balance_minor", "entry_count")
    return balance.entry_count


def transaction_id(kind: ledger.SourceKind, source_id: UUID) -> UUID | None:
    """The id of the posting of a source, if there is one."""
    found = LedgerTransaction.objects.filter(source_kind=kind.value, source_id=source_id).first()
    return found.id if found else None


def stored(kind: ledger.SourceKind, source_id: UUID) -> tuple[UUID, ledger.Transaction] | None:
    """A posting as it was written, with its id."""
    row = LedgerTransaction.objects.filter(source_kind=kind.value, source_id=source_id).first()
    if row is None:
        return None
    entries = tuple(
        ledger.Entry(
            ledger.Account(entry.ledger_account),
            entry.amount_minor,
            entry.currency,
            row.account_id if entry.ledger_account == ledger.Account.CUSTOMER.value else None,
        )
        for entry in row.entries.all()
    )
    return row.id, ledger.Transaction(kind, source_id, entries, row.reverses_id)


def balance_minor(account: Account | None, currency: str) -> int:
    """The personal account's ledger balance: owed positive, prepaid negative, minor units."""
    if account is None:
        return 0
    row = AccountBalance.objects.filter(account=account, currency=currency).first()
    return row.balance_minor if row else 0


def available_minor(account: Account | None, currency: str) -> int:
    """What the customer may still spend, >= 0: the credit not yet applied to an open invoice.

    The ledger balance is what open invoices still ask for, less what is available.
    """
    if account is None:
        return 0
    due = Invoice.objects.filter(
        account=account, currency=currency, status__in=("open", "uncollectible")
    ).aggregate(due=Sum("amount_due_minor"))["due"]
    return max(0, (due or 0) - balance_minor(account, currency))
