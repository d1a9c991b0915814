"""Every lock of the billing commands, always in one order: the personal account, then shared rows.

A command holds its account and thereby everything that belongs to it. Shared rows (promo codes,
promotions, document counters) are not locked ahead: they are moved by one conditional statement each, in
that order, the counters last. For a promo code or a promotion its takers stand in line first.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from billing_api.billing_service.database import Query, together
from billing_api.billing_service.models import Account
from shared.errors import not_found


def lock_account(account_id: UUID) -> Account:
    """The account, held until the transaction ends. Raises ``account-not-found``."""
    account = Account.objects.select_for_update(no_key=True).filter(id=account_id).first()
    if account is None:
        raise not_found("account")
    return account


def lock_account_of_user(user_id: UUID) -> Account | None:
    """The user's account, held; None when there is none yet."""
    return Account.objects.select_for_update(no_key=True).filter(user_id=user_id).first()


def lock_or_open_account(user_id: UUID, *, locale: str, time_zone: str, now: datetime) -> Account:
    """The user's account, held; opened when it is the first time, by however many at once."""
    Account.objects.bulk_create(
        [Account(user_id=user_id, locale=locale, time_zone=time_zone, created_at=now, updated_at=now)],
        ignore_conflicts=True,
    )
    account = lock_account_of_user(user_id)
    assert account is not None
    return account


# A line is longer than one holder: from here to the end of the transaction a wait is bounded by the time of
# its statement alone (ten seconds).
_PATIENCE: Final = Query("patience", "SELECT set_config('lock_timeout', $limit:text, true)")
_TURN: Final = Query("turn", "SELECT pg_advisory_xact_lock(hashtextextended($row_id:text, 0))")


def wait_turn(row_id: UUID | str) -> None:
    """Stands in line for a shared row that many take from at once, until the transaction ends.

    Who waits for a row that Postgres moves is overtaken by whoever comes later: of 50 takers the last waited
    more than the ten seconds a statement may last, in line none waits longer than those before it take.
    """
    together(_PATIENCE.of(limit="0"), _TURN.of(row_id=str(row_id)))
