"""Writes ledger transactions, keeps the stored balance of each personal account, and reads balances."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from billing_api.billing_service import posting_statements as statements
from billing_api.billing_service.database import Query, as_one, together
from billing_api.billing_service.domain import ledger
from billing_api.billing_service.models import Account, AccountBalance, LedgerTransaction
from shared.errors import broken_invariant
from shared.ids import new_id


def post(transaction: ledger.Transaction | None, account: Account, now: datetime) -> UUID | None:
    """Writes a transaction of the held account; gives its id, None when nothing moves.

    Customer entries follow the last one of their chain. A second posting of one source is refused by the
    database (IntegrityError), and so is a chain that two writers would fork.
    """
    if transaction is None:
        return None
    queries, values = writing(transaction, account.id, now)
    values["account_id"] = account.id
    together(as_one((statements.OWNER, *queries), values))
    transaction_id: UUID = values["transaction_id"]
    return transaction_id


def writing(
    transaction: ledger.Transaction, owner_id: UUID, now: datetime
) -> tuple[tuple[Query, ...], dict[str, Any]]:
    """The queries that write a transaction, to be joined behind its ``owner``, and their values.

    Every entry on the personal account must name ``owner_id``. For a command that writes something else in
    the same round trip; all others call ``post``.
    """
    transaction_id = new_id()
    values: dict[str, Any] = {
        "transaction_id": transaction_id,
        "source_id": transaction.source_id,
        "reverses_id": transaction.reverses,
        "now": now,
    }
    legs, texts, currencies = [], [], set()
    for leg, entry in enumerate(transaction.entries, start=1):
        if entry.account is ledger.Account.CUSTOMER:
            if entry.owner_id != owner_id or entry.currency in currencies:
                raise broken_invariant("ledger-owner", "one entry a currency, on the posting's own account")
            currencies.add(entry.currency)
        values[f"entry_{leg}"], values[f"amount_{leg}"] = new_id(), entry.amount_minor
        legs.append((entry.account, entry.currency))
        texts.append(f"{entry.account} {entry.currency} {entry.amount_minor}")
    # What the chain says of the posting (docs/algorithms/ledger.md); the proof at commit reads the rows.
    moment = now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    said = (
        transaction_id,
        transaction.source_kind,
        transaction.source_id,
        transaction.reverses or "",
        moment,
        ",".join(sorted(texts)),
    )
    values["posting"] = "\n".join([str(one) for one in said])
    queries = statements.writing(transaction.source_kind, transaction.reverses is not None, tuple(legs))
    return queries, values


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
