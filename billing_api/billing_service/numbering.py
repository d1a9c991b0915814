"""Numbers of invoices and credit notes: per year, without gaps, given by the last statement before commit."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from billing_api.billing_service.database import cursor
from billing_api.billing_service.models import CreditNote, Invoice
from shared.failpoints import failpoint
from shared.period import day_in_zone

SELLER_TIME_ZONE: Final = "Europe/Moscow"  # a document's year is that of the seller's calendar

# One statement: the counter's lock lasts from here to the commit. Events of these documents were already
# written to the outbox in this transaction and get the number too.
_GIVE_SQL: Final = """
WITH counter AS (
    INSERT INTO document_counter (series, year, last_number) VALUES (%(series)s, %(year)s, %(count)s)
    ON CONFLICT (series, year) DO UPDATE SET last_number = document_counter.last_number + %(count)s
    RETURNING last_number
), given AS (
    -- lpad would cut what is longer: the millionth of a year has seven digits.
    SELECT listed.id, %(prefix)s || %(year)s || '-'
        || lpad(nth.text, greatest(6, length(nth.text)), '0') AS number
    FROM counter, unnest(%(ids)s::uuid[]) WITH ORDINALITY AS listed(id, position),
        LATERAL (SELECT (counter.last_number - %(count)s + listed.position)::text AS text) AS nth
), told AS (
    UPDATE outbox SET envelope = jsonb_set(envelope, '{{data,number}}', to_jsonb(given.number))
    FROM given
    WHERE outbox.aggregate_type = %(series)s AND outbox.aggregate_id = given.id
        AND outbox.envelope #>> '{{data,number}}' = ''
)
UPDATE {table} SET number = given.number FROM given WHERE {table}.id = given.id
RETURNING {table}.id, {table}.number
"""


class Documents:
    """The documents a command has issued; ``give_numbers`` is its last statement."""

    def __init__(self, now: datetime) -> None:
        self._year = day_in_zone(now, SELLER_TIME_ZONE).year
        self._invoices: list[Invoice] = []
        self._credit_notes: list[CreditNote] = []

    def add_invoice(self, invoice: Invoice) -> None:
        self._invoices.append(invoice)

    def add_credit_note(self, credit_note: CreditNote) -> None:
        self._credit_notes.append(credit_note)

    def give_numbers(self) -> None:
        """``2026-000123`` for invoices, ``CN-2026-000123`` for credit notes, in the order they were added."""
        self._give("credit_note", "CN-", self._credit_notes)
        self._give("invoice", "", self._invoices)

    def _give(self, series: str, prefix: str, rows: list[Invoice] | list[CreditNote]) -> None:
        if not rows:
            return
        with cursor() as database:
            database.execute(
                _GIVE_SQL.format(table=series),
                {
                    "series": series,
                    "year": self._year,
                    "count": len(rows),
                    "prefix": prefix,
                    "ids": [str(row.id) for row in rows],
                },
            )
            numbers = {str(found[0]): found[1] for found in database.fetchall()}
        for row in rows:
            row.number = numbers[str(row.id)]
        failpoint("billing.numbers.given_before_commit")
