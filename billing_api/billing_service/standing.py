"""Where a personal account stands in one currency: what its next ledger entry follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from billing_api.billing_service import ledger_chain
from billing_api.billing_service.database import Brief, Query, together
from billing_api.billing_service.locks import HOLD_USER


@dataclass(slots=True)
class Standing:
    """``balance_minor``: debit (owed) positive. True only while the account is held; postings move it on."""

    account_id: UUID
    currency: str
    balance_minor: int = 0
    entry_count: int = 0
    chain_head: str = ledger_chain.GENESIS


_OF_ACCOUNT: Final = Query(
    "standing_of_account",
    """
SELECT balance_minor, entry_count, chain_head FROM account_balance
WHERE account_id = $account_id:uuid AND currency = $currency:text
""",
)
_OF_USER: Final = Query(
    "standing_of_user",
    """
SELECT a.id, coalesce(b.balance_minor, 0), coalesce(b.entry_count, 0), coalesce(b.chain_head, '')
FROM account a LEFT JOIN account_balance b ON b.account_id = a.id AND b.currency = $currency:text
WHERE a.user_id = $user_id:uuid
""",
)


def standing_of(account_id: UUID, currency: str) -> Standing:
    """Where a held account stands; at the beginning while nothing has been posted to it."""
    found = together(_OF_ACCOUNT.of(account_id=account_id, currency=currency))
    return Standing(account_id, currency, *found[0]) if found else Standing(account_id, currency)


def held_standing(work: Brief, user_id: UUID, currency: str) -> Standing | None:
    """Holds the user's account and reads where it stands, in one round trip; None when there is none yet.

    The hold is a statement of its own: one that waited and read at once would go on with the balance it saw
    before the wait.
    """
    found = work.read(HOLD_USER.of(user_id=user_id), _OF_USER.of(user_id=user_id, currency=currency))
    return Standing(found[0][0], currency, *found[0][1:]) if found else None
