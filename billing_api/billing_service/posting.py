"""Writes ledger transactions, keeps the stored balance of each personal account, and reads balances."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from django.db.models import Sum

from billing_api.billing_service import ledger_chain
from billing_api.billing_service.database import Query, Statement, as_one, together
from billing_api.billing_service.domain import ledger
from billing_api.billing_service.models import Account, AccountBalance, Invoice, LedgerTransaction
from billing_api.billing_service.standing import Standing, standing_of
from shared.errors import broken_invariant
from shared.ids import new_id


def post(transaction: ledger.Transaction | None, account: Account, now: datetime) -> UUID | None:
    """Writes a transaction of the held account; gives its id, None when nothing moves.

    Customer entries follow the last one of their chain. A second posting of one source is refused by the
    database (IntegrityError), and so is a chain that two writers would fork.
    """
    if transaction is None:
        return None
    currencies = {one.currency for one in transaction.entries if one.account is ledger.Account.CUSTOMER}
    standings = [standing_of(account.id, currency) for currency in sorted(currencies)]
    transaction_id, written = writing(transaction, standings, account.id, now)
    together(as_one(written))
    return transaction_id


def writing(
    transaction: ledger.Transaction, standings: Sequence[Standing], account_id: UUID, now: datetime
) -> tuple[UUID, list[Statement]]:
    """The statements that write a transaction of the held account, and its id; ``standings`` move on.

    ``standings`` has one of every currency in which the transaction moves the personal account. For a command
    that writes something else in the same round trip; all others call ``post``.
    """
    transaction_id = new_id()
    kind, source, reverses = transaction.source_kind.value, transaction.source_id, transaction.reverses
    by_currency = {one.currency: one for one in standings}
    opened = [one.currency for one in standings if one.entry_count == 0]
    legs = [(one.account.value, one.currency, one.amount_minor) for one in transaction.entries]
    values: list[Any] = [account_id, transaction_id, now]
    for entry in transaction.entries:
        entry_id, position, chain_hash = new_id(), 0, None
        if entry.account is ledger.Account.CUSTOMER:
            if entry.owner_id != account_id:
                raise broken_invariant("ledger-owner", "the entry belongs to another personal account")
            stands = by_currency[entry.currency]
            position = stands.entry_count + 1
            link = ledger_chain.Link(
                entry_id,
                account_id,
                entry.currency,
                position,
                entry.amount_minor,
                transaction_id,
                kind,
                source,
                reverses,
                now,
            )
            chain_hash = ledger_chain.chain_hash(stands.chain_head, link, legs)
            stands.balance_minor += entry.amount_minor
            stands.entry_count, stands.chain_head = position, chain_hash
        values += (entry_id, entry.account.value, entry.amount_minor, entry.currency, position, chain_hash)
    written = [
        _TRANSACTION.of(transaction_id, account_id, kind, source, reverses, len(legs), now),
        _entries(len(legs)).of(*values),
    ]
    for one in standings:
        stands = account_id, one.currency, one.balance_minor, one.entry_count, one.chain_head
        written.append(_OPEN.of(new_id(), *stands) if one.currency in opened else _KEEP.of(*stands))
    return transaction_id, written


@cache
def _entries(legs: int) -> Query:
    """Writes so many entries of one transaction, each with its number and theirs."""
    types, rows = ["uuid", "uuid", "timestamptz"], []
    for number in range(1, legs + 1):
        cells = ", ".join(f"${len(types) + place}" for place in range(1, 7))
        types += ["uuid", "text", "bigint", "text", "bigint", "text"]
        rows.append(f"({cells}, {number}, {legs}, $1, $2, $3)")
    return Query(f"post_{legs}_legs", tuple(types), _ENTRIES_SQL.replace("ROWS", ", ".join(rows)))


_TRANSACTION: Final = Query(
    "post_transaction",
    ("uuid", "uuid", "text", "uuid", "uuid", "smallint", "timestamptz"),
    """
INSERT INTO ledger_transaction (id, account_id, source_kind, source_id, reverses_id, leg_count, posted_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
""",
)
_ENTRIES_SQL: Final = """
INSERT INTO ledger_entry (id, ledger_account, amount_minor, currency, position, chain_hash, leg_number,
    leg_count, account_id, transaction_id, posted_at)
VALUES ROWS
"""
_KEEP: Final = Query(
    "keep_standing",
    ("uuid", "text", "bigint", "bigint", "text"),
    """
UPDATE account_balance SET balance_minor = $3, entry_count = $4, chain_head = $5
WHERE account_id = $1 AND currency = $2
""",
)
_OPEN: Final = Query(
    "open_standing",
    ("uuid", "uuid", "text", "bigint", "bigint", "text"),
    """
INSERT INTO account_balance (id, account_id, currency, balance_minor, entry_count, chain_head)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (account_id, currency) DO UPDATE SET balance_minor = excluded.balance_minor,
    entry_count = excluded.entry_count, chain_head = excluded.chain_head
""",
)


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
