"""The hash chain of personal accounts: written with every posting, guarded by the database, proven apart."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.billing_api.commands.test_proof import a_life
from tests.billing_api.ledger_chain import Link, chain_hash


def customer_entries() -> list[Any]:
    from billing_api.billing_service.models import LedgerEntry

    return list(
        LedgerEntry.objects.filter(ledger_account="customer").order_by("account_id", "currency", "position")
    )


def verify(*arguments: str) -> tuple[str, str]:
    """(what the command said, what it complained of)."""
    from django.core.management import CommandError, call_command

    said, complained = io.StringIO(), io.StringIO()
    try:
        call_command("verify_ledger", *arguments, stdout=said, stderr=complained)
    except CommandError as error:
        return said.getvalue(), complained.getvalue() + str(error)
    return said.getvalue(), ""


def test_every_posting_continues_its_chain(world) -> None:
    from billing_api.billing_service.models import AccountBalance, LedgerEntry

    anna, _ = a_life(world)
    a_life_of_another = world.customer()
    world.pay(world.buy(a_life_of_another, world.film), a_life_of_another)
    assert verify() == ("9 entries in 2 chains: every hash follows.\n", "")
    assert verify("--user-id", str(anna.user_id)) == ("7 entries in 1 chains: every hash follows.\n", "")
    assert (
        not LedgerEntry.objects.exclude(ledger_account="customer").filter(chain_hash__isnull=False).exists()
    )
    entries = customer_entries()
    assert len({entry.chain_hash for entry in entries}) == len(entries)
    for balance in AccountBalance.objects.all():
        last = [entry for entry in entries if entry.account_id == balance.account_id][-1]
        assert (balance.chain_head, balance.entry_count) == (last.chain_hash, last.position)


# What somebody with the database's highest rights and the triggers off might do to the third entry.
EDITS = {
    "amount": "UPDATE ledger_entry SET amount_minor = amount_minor + 1 WHERE id = %(id)s",
    "moment": "UPDATE ledger_entry SET posted_at = posted_at + interval '1 microsecond' WHERE id = %(id)s",
    "source": "UPDATE ledger_transaction SET source_id = gen_random_uuid() WHERE id = %(transaction)s",
    "kind": "UPDATE ledger_transaction SET source_kind = 'payment' WHERE id = %(transaction)s",
    "original": "UPDATE ledger_transaction SET reverses_id = NULL WHERE id = %(transaction)s",
    "own hash": "UPDATE ledger_entry SET chain_hash = repeat('0', 64) WHERE id = %(id)s",
    "both legs": """UPDATE ledger_entry SET amount_minor = amount_minor
        + CASE ledger_account WHEN 'refunds' THEN 1 ELSE -1 END
        WHERE transaction_id = %(transaction)s AND ledger_account IN ('refunds', 'vat')""",
    "moved": "UPDATE ledger_entry SET ledger_account = 'goodwill'"
    " WHERE transaction_id = %(transaction)s AND ledger_account = 'refunds'",
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_hand_edited_row_is_named(world, superuser, edit: str) -> None:
    a_life(world)
    third = customer_entries()[2]
    superuser.execute(EDITS[edit], {"id": str(third.id), "transaction": str(third.transaction_id)})
    said, complained = verify()
    assert said == ""
    assert f"entry {third.id} at position 3:" in complained


def test_a_removed_row_a_cut_tail_and_a_changed_balance_are_named(world, superuser) -> None:
    a_life(world)
    entries = customer_entries()
    superuser.execute("UPDATE account_balance SET chain_head = repeat('0', 64)")
    assert "the stored balance" in verify()[1]
    superuser.execute("UPDATE account_balance SET chain_head = %s", (entries[-1].chain_hash,))
    assert verify()[1] == ""
    superuser.execute(
        "DELETE FROM ledger_entry WHERE transaction_id = %s", (str(entries[-1].transaction_id),)
    )
    assert "the stored balance" in verify()[1]
    superuser.execute("DELETE FROM ledger_entry WHERE id = %s", (str(entries[3].id),))
    assert f"entry {entries[4].id} at position 5: position 4 is missing" in verify()[1]
    superuser.execute("DELETE FROM ledger_entry")
    assert "entries that are gone" in verify()[1]


def test_a_chain_rewritten_from_a_row_on_still_differs_from_the_stored_head(world, superuser) -> None:
    """Who rewrites the last entry with a right hash has to change the stored head too."""
    a_life(world)
    previous, last = customer_entries()[-2:]
    superuser.execute(
        "UPDATE ledger_entry SET amount_minor = -amount_minor WHERE transaction_id = %s",
        (str(last.transaction_id),),
    )
    last.refresh_from_db()
    posting = last.transaction
    link = Link(
        *(last.id, last.account_id, last.currency, last.position, last.amount_minor),
        *(posting.id, posting.source_kind, posting.source_id, posting.reverses_id, last.posted_at),
    )
    legs = posting.entries.values_list("ledger_account", "currency", "amount_minor")
    made = chain_hash(previous.chain_hash, link, legs)
    superuser.execute("UPDATE ledger_entry SET chain_hash = %s WHERE id = %s", (made, str(last.id)))
    assert "the stored balance" in verify()[1]


def test_the_database_refuses_a_wrong_link(world) -> None:
    from django.db import IntegrityError

    from billing_api.billing_service.database import atomic
    from billing_api.billing_service.models import Account

    anna = world.customer()
    world.buy(anna)
    account, following = Account.objects.get(user_id=anna.user_id), len(customer_entries()) + 1
    with pytest.raises(IntegrityError, match="hash of its chain"), atomic():
        _post_at(account, following, world.now)
    with pytest.raises(IntegrityError, match="predecessor"), atomic():
        _post_at(account, 9, world.now)
    assert verify()[1] == ""


def _post_at(account: Any, position: int, now: Any) -> None:
    from billing_api.billing_service.models import LedgerEntry, LedgerTransaction
    from shared.ids import new_id

    row = LedgerTransaction.objects.create(
        account=account, source_kind="payment", source_id=new_id(), leg_count=2, posted_at=now
    )
    common = {"account": account, "transaction": row, "leg_count": 2, "currency": "RUB", "posted_at": now}
    LedgerEntry.objects.bulk_create(
        [
            LedgerEntry(
                ledger_account="customer",
                leg_number=1,
                amount_minor=-1,
                position=position,
                chain_hash="0" * 64,
                **common,
            ),
            LedgerEntry(ledger_account="provider_clearing", leg_number=2, amount_minor=1, **common),
        ]
    )


def test_two_writers_cannot_fork_a_chain(world) -> None:
    from billing_api.billing_service import posting
    from billing_api.billing_service.database import atomic
    from billing_api.billing_service.domain import ledger
    from billing_api.billing_service.locks import lock_account_of_user
    from billing_api.billing_service.models import Account
    from shared.ids import new_id
    from tests.billing_api.commands.test_renewing import parallel

    anna = world.customer()
    world.buy(anna)

    def pay(_number: int, held: bool) -> None:
        with atomic():
            account = (
                lock_account_of_user(anna.user_id) if held else Account.objects.get(user_id=anna.user_id)
            )
            posting.post(ledger.payment_received(new_id(), account.id, "RUB", 100), account, world.now)

    assert parallel(lambda number: pay(number, held=True), 8) == []
    assert verify()[1] == ""
    # The naive writer, who does not hold the account: the unique position lets only one of them through.
    parallel(lambda number: pay(number, held=False), 8)
    assert verify()[1] == ""


def test_balances_at_any_past_moment(world) -> None:
    from datetime import timedelta

    from billing_api.billing_service import statement

    anna, _ = a_life(world)
    entries = customer_entries()
    for entry in entries:
        until = [one.amount_minor for one in entries if one.posted_at < entry.posted_at]
        assert statement.balance_at(anna.user_id, entry.posted_at) == -sum(until)
    assert statement.balance_at(
        anna.user_id, entries[-1].posted_at + timedelta(microseconds=1)
    ) == world.balance(anna)
