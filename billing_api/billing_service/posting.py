"""Writes ledger transactions, keeps the stored balance of each personal account, and reads balances."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Sum

from billing_api.billing_service import ledger_chain
from billing_api.billing_service.database import cursor
from billing_api.billing_service.domain import ledger
from billing_api.billing_service.models import Account, AccountBalance, Invoice, LedgerTransaction
from shared.errors import broken_invariant
from shared.ids import new_id


def post(transaction: ledger.Transaction | None, account: Account, now: datetime) -> UUID | None:
    """Writes a transaction of the held account; gives its id, None when nothing moves.

    Customer entries follow the last one of their chain. A second posting of one source is refused by the
    database (IntegrityError), and so is a chain that two writers would fork.
    """
    if transaction is None:
        return None
    transaction_id = new_id()
    chains = _Chains(transaction, transaction_id, account, now)
    rows = [chains.row(entry) for entry in transaction.entries]
    with cursor() as database:
        database.execute(
            _WRITE_SQL,
            {
                "id": str(transaction_id),
                "account_id": str(account.id),
                "source_kind": transaction.source_kind.value,
                "source_id": str(transaction.source_id),
                "reverses_id": str(transaction.reverses) if transaction.reverses else None,
                "now": now,
                **{name: [row[name] for row in rows] for name in rows[0]},
                **chains.heads(),
            },
        )
    return transaction_id


# The posting in one round trip: document, legs, and where the personal account stands after them.
_WRITE_SQL: Final = """
WITH posted AS (
    INSERT INTO ledger_transaction (id, account_id, source_kind, source_id, reverses_id, posted_at)
    VALUES (%(id)s, %(account_id)s, %(source_kind)s, %(source_id)s, %(reverses_id)s, %(now)s)
), stands AS (
    INSERT INTO account_balance (id, account_id, currency, balance_minor, entry_count, chain_head)
    SELECT id, %(account_id)s, currency, balance_minor, entry_count, chain_head FROM unnest(
        %(balance_id)s::uuid[], %(balance_currency)s::text[], %(balance_minor)s::bigint[],
        %(entry_count)s::bigint[], %(chain_head)s::text[]
    ) AS made(id, currency, balance_minor, entry_count, chain_head)
    ON CONFLICT (account_id, currency) DO UPDATE SET balance_minor = excluded.balance_minor,
        entry_count = excluded.entry_count, chain_head = excluded.chain_head
)
INSERT INTO ledger_entry (id, account_id, transaction_id, ledger_account, amount_minor, currency, position,
    chain_hash, posted_at)
SELECT id, %(account_id)s, %(id)s, ledger_account, amount_minor, currency, position, chain_hash, %(now)s
FROM unnest(%(entry_id)s::uuid[], %(ledger_account)s::text[], %(amount_minor)s::bigint[],
    %(currency)s::text[], %(position)s::bigint[], %(chain_hash)s::text[]
) AS leg(id, ledger_account, amount_minor, currency, position, chain_hash)
"""


class _Chains:
    """Where the personal account stands, per currency, while the legs of one posting are added to it."""

    def __init__(
        self, transaction: ledger.Transaction, transaction_id: UUID, account: Account, now: datetime
    ) -> None:
        self._transaction, self._transaction_id = transaction, transaction_id
        self._account, self._now = account, now
        self._legs = [(one.account.value, one.currency, one.amount_minor) for one in transaction.entries]
        self._stands: dict[str, AccountBalance] = {}

    def row(self, entry: ledger.Entry) -> dict[str, Any]:
        """The entry's columns; a customer entry moves the balance and the chain on."""
        position, chain_hash, entry_id = 0, None, new_id()
        if entry.account is ledger.Account.CUSTOMER:
            if entry.owner_id != self._account.id:
                raise broken_invariant("ledger-owner", "the entry belongs to another personal account")
            stands = self._standing(entry.currency)
            stands.balance_minor += entry.amount_minor
            stands.entry_count += 1
            position = stands.entry_count
            link = ledger_chain.Link(
                entry_id,
                self._account.id,
                entry.currency,
                position,
                entry.amount_minor,
                self._transaction_id,
                self._transaction.source_kind.value,
                self._transaction.source_id,
                self._transaction.reverses,
                self._now,
            )
            chain_hash = stands.chain_head = ledger_chain.chain_hash(stands.chain_head, link, self._legs)
        return {
            "entry_id": str(entry_id),
            "ledger_account": entry.account.value,
            "amount_minor": entry.amount_minor,
            "currency": entry.currency,
            "position": position,
            "chain_hash": chain_hash,
        }

    def _standing(self, currency: str) -> AccountBalance:
        if currency not in self._stands:
            with cursor() as database:
                database.execute(
                    "SELECT balance_minor, entry_count, chain_head FROM account_balance"
                    " WHERE account_id = %s AND currency = %s",
                    (str(self._account.id), currency),
                )
                found = database.fetchone() or (0, 0, ledger_chain.GENESIS)
            self._stands[currency] = AccountBalance(
                account=self._account,
                currency=currency,
                balance_minor=found[0],
                entry_count=found[1],
                chain_head=found[2],
            )
        return self._stands[currency]

    def heads(self) -> dict[str, list[Any]]:
        """Columns of the balances after the posting."""
        rows = list(self._stands.values())
        return {
            "balance_id": [str(row.id) for row in rows],
            "balance_currency": [row.currency for row in rows],
            "balance_minor": [row.balance_minor for row in rows],
            "entry_count": [row.entry_count for row in rows],
            "chain_head": [row.chain_head for row in rows],
        }


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
