"""Reads and writes rows of the database `pay` by asyncpg itself: only what every new payment goes through.

The ORM (``repository``) would cost several times more there than the database does; everything else uses it.
Objects of ``models`` given or taken here belong to no session.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import JSONB

from pay_api.models import Attempt, Base, FiscalReceipt, Payment, PaymentMethod, Transition
from shared.pool import Connection
from shared.writes import GUARD, GUARDED, Write


class Rows:
    """INSERT and UPDATE of one table; ``outcome``: the columns an UPDATE writes, all of them each time."""

    def __init__(self, model: type[Base], outcome: Sequence[str] = (), made_by_database: Sequence[str] = ()):
        table = model.__table__
        assert isinstance(table, Table)
        self._columns = [column.name for column in table.columns if column.name not in made_by_database]
        self._defaults = {
            column.name: column.default.arg for column in table.columns if column.default is not None
        }
        self._json = {column.name for column in table.columns if isinstance(column.type, JSONB)}
        self._outcome = list(outcome)
        self._name = table.name
        places = ", ".join(f"${number}" for number in range(1, len(self._columns) + 1))
        columns = ", ".join(self._columns)
        self._insert = f"INSERT INTO {table.name} ({columns}) SELECT {places}"
        written = ", ".join(f"{name} = ${number}" for number, name in enumerate(self._outcome, 2))
        self._update = f"UPDATE {table.name} SET {written} WHERE id = $1"  # noqa: S608

    def _values(self, row: Base, names: Sequence[str]) -> list[Any]:
        given = vars(row)  # past the ORM's descriptors: what was never set is not there
        values = [given.get(name) for name in names]
        for at, name in enumerate(names):
            if values[at] is None:
                values[at] = self._defaults.get(name)
            elif name in self._json:
                values[at] = json.dumps(values[at])
        return values

    def insertion(self, row: Base, name: str, after: str = GUARD) -> Write:
        """Inserts it if the guard holds, and after another one: the database numbers some in this order."""
        return Write(name, f"{self._insert} FROM {after} RETURNING id", self._values(row, self._columns))

    def change(self, row: Any) -> Write:
        """Writes the outcome's columns, whatever is there, if the guard holds."""
        return Write(self._name, f"{self._update} AND {GUARDED} RETURNING id", self._changed(row))

    def guarding_change(self, row: Any, version: int) -> Write:
        """Writes the outcome's columns if the row still has that version; the others hang on it."""
        values = self._changed(row)
        condition = f" AND version = ${len(values) + 1} RETURNING id"
        return Write(GUARD, self._update + condition, [*values, version])

    def _changed(self, row: Any) -> list[Any]:
        return [row.id, *self._values(row, self._outcome)]


PAYMENTS: Final = Rows(
    Payment,
    outcome=(
        "status",
        "captured_minor",
        "late",
        "duplicate",
        "awaits_card",
        "instructions",
        "expires_at",
        "card_mask",
        "card_brand",
        "decline_class",
        "decline_code",
        "review_reason",
        "next_charge_at",
        "version",
        "succeeded_at",
        "updated_at",
    ),
)
ATTEMPTS: Final = Rows(
    Attempt,
    outcome=(
        "status",
        "transaction_id",
        "reason_code",
        "acs_url",
        "pa_req",
        "expires_at",
        "voided_at",
        "next_query_at",
        "ended_at",
    ),
)
TRANSITIONS: Final = Rows(Transition, made_by_database=("id",))
RECEIPTS: Final = Rows(FiscalReceipt)

_NEW_INVOICE_SQL: Final = """
INSERT INTO payment_invoice (invoice_id, created_at) VALUES ($1, $2)
ON CONFLICT (invoice_id) DO NOTHING RETURNING invoice_id
"""
_LOCK_INVOICE_SQL: Final = "SELECT closed_at FROM payment_invoice WHERE invoice_id = $1 FOR UPDATE"
# The statuses stand here as in the index `payment_one_per_invoice`, so that it serves every plan.
_KNOWN_SQL: Final = """
SELECT id, invoice_id, user_id, amount_minor, currency FROM payment WHERE id = $1
UNION ALL
SELECT id, invoice_id, user_id, amount_minor, currency FROM payment
WHERE invoice_id = $2 AND id <> $1 AND settles_invoice AND NOT duplicate
  AND status IN ('created', 'processing', 'action_required', 'authorized', 'unknown', 'needs_review',
    'succeeded', 'partially_refunded')
"""
_METHOD_SQL: Final = "SELECT * FROM payment_method WHERE id = $1 FOR SHARE"


def invoice_is_new(invoice_id: UUID, now: datetime) -> Write:
    """The guard of an invoice's first payment: makes the invoice's row.

    Whoever pays or closes an invoice takes this row first, so a new one has neither payments nor an end.
    """
    return Write(GUARD, _NEW_INVOICE_SQL, (invoice_id, now))


async def lock_invoice(connection: Connection, invoice_id: UUID, now: datetime) -> datetime | None:
    """Locks the invoice's row, made when it is new, until the transaction ends; gives its ``closed_at``."""
    await connection.execute(_NEW_INVOICE_SQL, invoice_id, now)
    closed_at: datetime | None = await connection.fetchval(_LOCK_INVOICE_SQL, invoice_id)
    return closed_at


async def known_payments(connection: Connection, payment_id: UUID, invoice_id: UUID | None) -> Sequence[Any]:
    """The payment with this id and the one that holds the invoice: id, invoice, user, amount, currency."""
    return await connection.fetch(_KNOWN_SQL, payment_id, invoice_id)


async def method_for_charge(connection: Connection, method_id: UUID) -> PaymentMethod | None:
    """The method under a share lock: it cannot be detached before this transaction ends."""
    row = await connection.fetchrow(_METHOD_SQL, method_id)
    return PaymentMethod(**dict(row)) if row is not None else None
