"""The statements that write a posting, to be joined: each reads what one before it gave, by its name."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from billing_api.billing_service.database import Query
from billing_api.billing_service.domain.ledger import Account, SourceKind

BALANCE_OF_USER: Final = Query(
    "balance_of_user",
    """
SELECT coalesce(stands.balance_minor, 0) FROM account
LEFT JOIN account_balance stands ON stands.account_id = account.id AND stands.currency = $currency:text
WHERE account.user_id = $user_id:uuid
""",
)
# Whose posting it is: an account that its command holds, or the user's, held by the posting itself.
OWNER: Final = Query("owner", "SELECT $account_id:uuid AS id")
OWNER_HELD: Final = Query("owner", "SELECT id FROM account WHERE user_id = $user_id:uuid FOR NO KEY UPDATE")
_TRANSACTION_SQL: Final = """
INSERT INTO ledger_transaction (id, account_id, source_kind, source_id, reverses_id, leg_count, posted_at)
SELECT $transaction_id:uuid, id, 'KIND', $source_id:uuid, REVERSED, COUNT, $now:timestamptz FROM owner
"""
# The next link of a chain and the balance with it. It goes on from the row as it is when it is had, not as
# the statement saw it when it began: who waited for the account follows those before. The row is named after
# its first entry: an id of its own would be drawn at every posting.
_LINK_SQL: Final = """
INSERT INTO account_balance AS stands (id, account_id, currency, balance_minor, entry_count, chain_head)
SELECT $entry_LEG:uuid, id, 'CURRENCY', $amount_LEG:bigint, 1,
    billing_link_hash('', $entry_LEG:uuid, id, 'CURRENCY', 1, $amount_LEG:bigint, $posting:text) FROM owner
ON CONFLICT (account_id, currency) DO UPDATE SET balance_minor = stands.balance_minor + $amount_LEG:bigint,
    entry_count = stands.entry_count + 1,
    chain_head = billing_link_hash(stands.chain_head, $entry_LEG:uuid, stands.account_id, 'CURRENCY',
        stands.entry_count + 1, $amount_LEG:bigint, $posting:text)
RETURNING account_id, balance_minor - $amount_LEG:bigint AS balance_before_minor, balance_minor, entry_count,
    chain_head
"""
_ENTRIES_SQL: Final = """
INSERT INTO ledger_entry (id, ledger_account, amount_minor, currency, leg_number, leg_count, transaction_id,
    posted_at, account_id, position, chain_hash)
"""
# Of the columns' own types, or Postgres puts a step that converts before each.
_ENTRY_SQL: Final = """
SELECT $entry_LEG:uuid, 'ACCOUNT'::varchar(32), $amount_LEG:bigint, 'CURRENCY'::varchar(3), LEG::smallint,
    COUNT::smallint, $transaction_id:uuid, $now:timestamptz, """
_IN_CHAIN: Final = "account_id, entry_count, chain_head FROM LINK"
_OF_FIRM: Final = "id, 0::bigint, NULL::varchar(64) FROM owner"


def link_name(currency: str) -> str:
    """Names what a posting changes of the personal account in this currency, its balance before and after."""
    return f"link_{currency.lower()}"


@cache
def writing(kind: SourceKind, is_reversing: bool, legs: tuple[tuple[Account, str], ...]) -> tuple[Query, ...]:
    """The statements, to be joined behind ``owner``, for these legs: account of the chart and currency.

    Values by leg, from 1: ``entry_1`` (id) and ``amount_1``; ``reverses_id`` if it takes another one back.
    """
    links, entries = [], []
    for leg, (account, currency) in enumerate(legs, start=1):
        is_chained = account is Account.CUSTOMER
        names = {"ACCOUNT": account.value, "CURRENCY": currency, "LINK": link_name(currency), "LEG": str(leg)}
        if is_chained:
            links.append(Query(link_name(currency), _filled(_LINK_SQL, names)))
        entries.append(_filled(_ENTRY_SQL + (_IN_CHAIN if is_chained else _OF_FIRM), names))
    reversed_id = "$reverses_id:uuid" if is_reversing else "NULL::uuid"
    names = {"COUNT": str(len(legs)), "KIND": kind.value, "REVERSED": reversed_id}
    transaction = Query("posted", _filled(_TRANSACTION_SQL, names))
    return (*links, transaction, Query("entries", _filled(_ENTRIES_SQL + " UNION ALL ".join(entries), names)))


def _filled(sql: str, names: dict[str, str]) -> str:
    return re.sub(r"[A-Z]+", lambda word: names.get(word[0], word[0]), sql)


@cache
def balance_before(currency: str) -> Query:
    """What the personal account had in this currency before the posting it is joined to."""
    return Query(
        "balance_before", _filled("SELECT balance_before_minor FROM LINK", {"LINK": link_name(currency)})
    )
