"""Proves the ledger's hash chains: recomputes every hash, position, sum and balance with code of its own.

Nothing of the code that writes the ledger is used here, so a mistake there cannot hide itself.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from billing_api.billing_service.database import atomic, cursor

SHOWN: Final = 20
_PAGE: Final = 2000
_COLUMNS: Final = (
    *("entry_id", "account_id", "currency", "position", "amount_minor", "chain_hash", "posted_at"),
    *("transaction_id", "source_kind", "source_id", "reverses_id"),
)
_ENTRIES_SQL: Final = """
SELECT e.id, e.account_id, e.currency, e.position, e.amount_minor, e.chain_hash, e.posted_at, t.id,
    t.source_kind, t.source_id, t.reverses_id
FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
WHERE e.ledger_account = 'customer' AND (e.account_id, e.currency, e.position) > (%s, %s, %s)
    AND (%s::uuid IS NULL OR e.account_id = %s)
ORDER BY e.account_id, e.currency, e.position LIMIT %s
"""
_LEGS_SQL: Final = """
SELECT transaction_id, ledger_account, currency, amount_minor FROM ledger_entry
WHERE transaction_id = ANY(%s::uuid[])
"""
_BALANCES_SQL: Final = """
SELECT account_id, currency, balance_minor, entry_count, chain_head FROM account_balance
WHERE %s::uuid IS NULL OR account_id = %s
"""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """The first row of a chain that is not what it should be; ``position`` 0 is the stored balance itself."""

    account_id: UUID
    currency: str
    position: int
    entry_id: UUID | None
    reason: str

    def __str__(self) -> str:
        row = f"entry {self.entry_id} at position {self.position}" if self.entry_id else "the stored balance"
        return f"account {self.account_id} {self.currency}: {row}: {self.reason}"


@dataclass(frozen=True, slots=True)
class LedgerProof:
    """``broken``: the first broken row of each broken chain, at most 20 of them."""

    chains: int
    entries: int
    broken: tuple[BrokenRow, ...]

    @property
    def holds(self) -> bool:
        return not self.broken


def prove_ledger(account_id: UUID | None = None) -> LedgerProof:
    """Walks every chain (or those of one personal account) in one snapshot, page by page."""
    with atomic():
        with cursor() as database:
            database.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        balances = _balances(account_id)
        chains, entries, broken = 0, 0, []
        by_chain = groupby(_entries(account_id), key=lambda row: (row["account_id"], row["currency"]))
        for key, rows in by_chain:
            chains += 1
            walk = _Walk(*key)
            for row in rows:
                entries += 1
                walk.step(row)
            broken += walk.finish(balances.pop(key, None))
        for (owner, currency), (balance_minor, count, head) in balances.items():
            if (balance_minor, count, head) != (0, 0, ""):
                broken.append(BrokenRow(owner, currency, 0, None, "it stands for entries that are gone"))
        return LedgerProof(chains, entries, tuple(broken[:SHOWN]))


def _balances(account_id: UUID | None) -> dict[tuple[UUID, str], tuple[int, int, str]]:
    with cursor() as database:
        database.execute(_BALANCES_SQL, (_text(account_id), _text(account_id)))
        return {(owner, currency): tuple(rest) for owner, currency, *rest in database.fetchall()}


def _entries(account_id: UUID | None) -> Iterator[Row]:
    """Customer entries in the order of their chains, each with the legs of its posting."""
    after: tuple[Any, ...] = (str(UUID(int=0)), "", 0)
    while True:
        with cursor() as database:
            database.execute(_ENTRIES_SQL, (*after, _text(account_id), _text(account_id), _PAGE))
            page = [dict(zip(_COLUMNS, row, strict=True)) for row in database.fetchall()]
            if not page:
                return
            database.execute(_LEGS_SQL, ([str(row["transaction_id"]) for row in page],))
            legs: dict[UUID, list[tuple[str, str, int]]] = defaultdict(list)
            for transaction_id, account, currency, amount_minor in database.fetchall():
                legs[transaction_id].append((account, currency, amount_minor))
        for row in page:
            yield {**row, "legs": legs[row["transaction_id"]]}
        last = page[-1]
        after = (str(last["account_id"]), last["currency"], last["position"])


class _Walk:
    """One chain, entry after entry; remembers the first break and counts on."""

    def __init__(self, account_id: UUID, currency: str) -> None:
        self.account_id, self.currency = account_id, currency
        self.count = self.total_minor = 0
        self.previous = ""
        self.first: BrokenRow | None = None

    def step(self, row: Row) -> None:
        self.count += 1
        self.total_minor += row["amount_minor"]
        reason = self._fault(row)
        if reason and self.first is None:
            self.first = BrokenRow(self.account_id, self.currency, row["position"], row["entry_id"], reason)
        self.previous = row["chain_hash"]

    def _fault(self, row: Row) -> str | None:
        if row["position"] != self.count:
            return f"position {self.count} is missing"
        sums: dict[str, int] = defaultdict(int)
        for _, currency, amount_minor in row["legs"]:
            sums[currency] += amount_minor
        if any(sums.values()):
            return "its transaction does not sum to zero"
        if _hash_of(self.previous, row) != row["chain_hash"]:
            return "its hash does not follow from its content and its predecessor"
        return None

    def finish(self, stored: tuple[int, int, str] | None) -> list[BrokenRow]:
        if self.first is None and stored != (self.total_minor, self.count, self.previous):
            reason = f"{stored} is stored, {(self.total_minor, self.count, self.previous)} follows"
            self.first = BrokenRow(self.account_id, self.currency, 0, None, reason)
        return [self.first] if self.first else []


def _hash_of(previous: str, row: Row) -> str:
    """What version 1 of the chain says of an entry (docs/algorithms/ledger.md), written down anew."""
    moment = row["posted_at"].astimezone(UTC)
    digest = hashlib.sha256(b"v1\n")
    digest.update(f"{previous}\n{row['entry_id']}\n{row['account_id']}\n{row['currency']}\n".encode())
    digest.update(f"{row['position']}\n{row['amount_minor']}\n{row['transaction_id']}\n".encode())
    digest.update(f"{row['source_kind']}\n{row['source_id']}\n{row['reverses_id'] or ''}\n".encode())
    digest.update(f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z\n".encode())
    legs = [" ".join((account, currency, str(amount))) for account, currency, amount in row["legs"]]
    digest.update(",".join(sorted(legs)).encode())
    return digest.hexdigest()


def _text(account_id: UUID | None) -> str | None:
    return str(account_id) if account_id else None
