"""The statements that write a posting: one text for each number of legs and place of the personal account."""

from __future__ import annotations

from functools import cache
from typing import Final

from billing_api.billing_service.database import Query

TRANSACTION: Final = Query(
    "post_transaction",
    """
INSERT INTO ledger_transaction (id, account_id, source_kind, source_id, reverses_id, leg_count, posted_at)
VALUES ($transaction_id:uuid, $account_id:uuid, $source_kind:text, $source_id:uuid, $reverses_id:uuid,
    $leg_count:smallint, $now:timestamptz)
""",
)
_ENTRIES_SQL: Final = """
INSERT INTO ledger_entry (id, ledger_account, amount_minor, currency, position, chain_hash, leg_number,
    leg_count, account_id, transaction_id, posted_at)
VALUES ROWS
"""
_ENTRY_SQL: Final = """
    ($entry_LEG:uuid, $ledger_account_LEG:text, $amount_LEG:bigint, $currency_LEG:text, LINK, LEG,
    $leg_count:smallint, $account_id:uuid, $transaction_id:uuid, $now:timestamptz)"""
_CHAINED: Final = "$position_LEG:bigint, $chain_hash_LEG:text"
_OPEN_SQL: Final = """
INSERT INTO account_balance (id, account_id, currency, balance_minor, entry_count, chain_head)
VALUES ($balance_id_LEG:uuid, $account_id:uuid, $currency_LEG:text, $balance_LEG:bigint, $position_LEG:bigint,
    $chain_hash_LEG:text)
ON CONFLICT (account_id, currency) DO UPDATE SET balance_minor = excluded.balance_minor,
    entry_count = excluded.entry_count, chain_head = excluded.chain_head
"""
_KEEP_SQL: Final = """
UPDATE account_balance SET balance_minor = $balance_LEG:bigint, entry_count = $position_LEG:bigint,
    chain_head = $chain_hash_LEG:text
WHERE account_id = $account_id:uuid AND currency = $currency_LEG:text
"""


@cache
def entries(chained: tuple[bool, ...]) -> Query:
    """Writes all entries of a transaction; those of the personal account have a place in its chain."""
    rows = [
        _ENTRY_SQL.replace("LINK", _CHAINED if one else "0, NULL").replace("LEG", str(leg))
        for leg, one in enumerate(chained, start=1)
    ]
    name = "post_" + "".join("c" if one else "f" for one in chained)
    return Query(name, _ENTRIES_SQL.replace("ROWS", ",".join(rows)))


@cache
def standing_after(leg: int, is_first: bool) -> Query:
    """Keeps where the account stands after this leg, the last one in its currency."""
    if is_first:
        return Query(f"open_standing_{leg}", _OPEN_SQL.replace("LEG", str(leg)))
    return Query(f"keep_standing_{leg}", _KEEP_SQL.replace("LEG", str(leg)))
