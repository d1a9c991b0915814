"""Writes ledger transactions, keeps the stored balance of each personal account, and reads balances."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from billing_api.billing_service import ledger_chain
from billing_api.billing_service import posting_statements as statements
from billing_api.billing_service.database import Statement, as_one, together
from billing_api.billing_service.domain import ledger
from billing_api.billing_service.models import Account, AccountBalance, LedgerTransaction
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
    is_first = {one.currency: one.entry_count == 0 for one in standings}
    last_legs: dict[str, int] = {}
    legs = [(one.account.value, one.currency, one.amount_minor) for one in transaction.entries]
    values: dict[str, Any] = {
        "transaction_id": transaction_id,
        "account_id": account_id,
        "source_kind": kind,
        "source_id": source,
        "reverses_id": reverses,
        "leg_count": len(legs),
        "now": now,
    }
    for leg, entry in enumerate(transaction.entries, start=1):
        values[f"entry_{leg}"] = entry_id = new_id()
        values[f"ledger_account_{leg}"], values[f"currency_{leg}"], values[f"amount_{leg}"] = legs[leg - 1]
        if entry.account is not ledger.Account.CUSTOMER:
            continue
        if entry.owner_id != account_id:
            raise broken_invariant("ledger-owner", "the entry belongs to another personal account")
        stands = by_currency[entry.currency]
        stands.entry_count += 1
        stands.balance_minor += entry.amount_minor
        link = ledger_chain.Link(
            entry_id,
            account_id,
            entry.currency,
            stands.entry_count,
            entry.amount_minor,
            transaction_id,
            kind,
            source,
            reverses,
            now,
        )
        stands.chain_head = ledger_chain.chain_hash(stands.chain_head, link, legs)
        values[f"position_{leg}"], values[f"chain_hash_{leg}"] = stands.entry_count, stands.chain_head
        last_legs[entry.currency] = leg
    chained = tuple([entry.account is ledger.Account.CUSTOMER for entry in transaction.entries])
    written = [Statement(statements.TRANSACTION, values), Statement(statements.entries(chained), values)]
    for currency, leg in last_legs.items():
        values[f"balance_{leg}"] = by_currency[currency].balance_minor
        if is_first[currency]:
            values[f"balance_id_{leg}"] = new_id()
        written.append(Statement(statements.standing_after(leg, is_first[currency]), values))
    return transaction_id, written


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
