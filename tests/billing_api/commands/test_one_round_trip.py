"""Commands of one round trip: whole or nothing, one after the other, and part of a caller's transaction."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction

from shared.errors import AppError
from shared.ids import new_id
from shared.money import Money

pytestmark = pytest.mark.usefixtures("billing")


def opened(now: datetime) -> Any:
    from billing_api.billing_service.models import Account

    return Account.objects.create(user_id=new_id(), created_at=now, updated_at=now)


def gift(user_id: Any, now: datetime, amount: int = 100, kind: Any = "staff", **more: Any) -> Any:
    from billing_api.billing_service.actors import Actor
    from billing_api.billing_service.commands.grant_goodwill import grant_goodwill

    return grant_goodwill(user_id, Money(amount), actor=Actor(kind, "x"), reason="asked", now=now, **more)


def counts() -> tuple[int, int, int]:
    from billing_api.billing_service.models import AuditRecord, LedgerEntry, LedgerTransaction

    return LedgerTransaction.objects.count(), LedgerEntry.objects.count(), AuditRecord.objects.count()


def is_idle() -> bool:
    """No transaction is open on this thread's connection."""
    return connections["billing"].connection.get_transaction_status() == 0


def test_what_is_only_read_leaves_nothing_open(now: datetime) -> None:
    account = opened(now)
    assert gift(account.user_id, now, preview=True).balance_after == Money(100)
    assert is_idle()
    with pytest.raises(AppError, match="account-not-found"):
        gift(new_id(), now)
    assert is_idle()
    with pytest.raises(AppError, match="amount-not-positive"):
        gift(account.user_id, now, amount=0)
    assert is_idle()
    assert counts() == (0, 0, 0)


def test_what_stands_in_the_text_of_a_statement_is_one_of_few_words(now: datetime) -> None:
    account = opened(now)
    with pytest.raises(AppError, match="actor-kind"):
        gift(account.user_id, now, kind="staff', now(); --")
    assert (is_idle(), counts()) == (True, (0, 0, 0))


def test_the_record_of_a_posting_has_its_id(now: datetime) -> None:
    from billing_api.billing_service.models import AuditRecord, LedgerTransaction

    gift(opened(now).user_id, now)
    assert AuditRecord.objects.get().id == LedgerTransaction.objects.get().id


def test_what_the_database_refuses_at_commit_leaves_nothing(now: datetime, monkeypatch: Any) -> None:
    from billing_api.billing_service.domain import ledger

    def uneven(*given: Any) -> ledger.Transaction:
        gift, customer = right(*given).entries
        return ledger.Transaction(
            ledger.SourceKind.ADJUSTMENT, given[0], (gift, replace(customer, amount_minor=-99))
        )

    account, right = opened(now), ledger.goodwill_credited
    monkeypatch.setattr(ledger, "goodwill_credited", uneven)
    monkeypatch.setattr(ledger.Transaction, "__post_init__", lambda _: None)
    with pytest.raises(DatabaseError, match="does not sum to zero"):
        gift(account.user_id, now)
    monkeypatch.undo()
    assert is_idle()
    assert counts() == (0, 0, 0)
    gift(account.user_id, now)  # the connection goes on
    assert counts() == (1, 2, 1)


def test_inside_a_callers_transaction_the_caller_decides(now: datetime) -> None:
    account = opened(now)
    with transaction.atomic(using="billing"):
        gift(account.user_id, now)
        assert counts() == (1, 2, 1)
        transaction.set_rollback(True, using="billing")
    assert counts() == (0, 0, 0)
    with transaction.atomic(using="billing"):
        gift(account.user_id, now)
        gift(account.user_id, now)
    assert counts() == (2, 4, 2)


def test_many_at_once_make_one_chain(now: datetime) -> None:
    """Each waits for the one before and goes on from where that one ended."""
    from billing_api.billing_service.ledger_chain_proof import prove_ledger
    from billing_api.billing_service.models import AccountBalance

    account = opened(now)
    errors: list[Exception] = []

    def client() -> None:
        try:
            for _ in range(10):
                gift(account.user_id, now)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=client) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    stands = AccountBalance.objects.get(account=account)
    assert (stands.balance_minor, stands.entry_count) == (-6000, 60)
    assert prove_ledger().holds


def test_it_waits_for_the_account_and_follows_what_was_posted_meanwhile(
    now: datetime, superuser: Any
) -> None:
    """Its statement began before the other commits: it goes on from what it finds then, not what it saw."""
    from billing_api.billing_service import posting
    from billing_api.billing_service.domain import ledger
    from billing_api.billing_service.ledger_chain_proof import prove_ledger
    from billing_api.billing_service.locks import lock_account_of_user
    from billing_api.billing_service.models import AuditRecord

    account, done = opened(now), []

    def client() -> None:
        done.append(gift(account.user_id, now))
        connections.close_all()

    waiting = threading.Thread(target=client)
    with transaction.atomic(using="billing"):
        held = lock_account_of_user(account.user_id)
        assert held is not None
        posting.post(ledger.payment_received(new_id(), held.id, "RUB", 300), held, now)
        waiting.start()
        for _ in range(500):
            superuser.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if superuser.fetchone() != (0,):
                break
            threading.Event().wait(0.01)
        assert done == []
    waiting.join()
    assert [(one.balance_before, one.balance_after) for one in done] == [(Money(300), Money(400))]
    record = AuditRecord.objects.get(subject_id=done[0].adjustment_id, subject_kind="adjustment")
    assert (record.before["balance"]["amount"], record.after["balance"]["amount"]) == (300, 400)
    assert prove_ledger().holds


def test_a_call_within_an_event_loop_leaves_the_thread_its_own_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else what is posted would not be in the transaction around it."""
    from billing_api.billing_service.database import Query, atomic, cursor, together

    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    backend = Query("backend", "SELECT pg_backend_pid() + $nothing:int").of(nothing=0)
    seen: list[tuple[int, int]] = []

    def both() -> tuple[int, int]:
        with atomic(), cursor() as one:
            one.execute("SELECT pg_backend_pid()")
            return one.fetchone()[0], together(backend)[0][0]

    async def within() -> None:
        seen.append(both())
        connections["billing"].close()

    def work() -> None:
        asyncio.run(within())
        seen.append(both())
        connections["billing"].close()
        asyncio.run(within())

    with ThreadPoolExecutor(1) as fresh:
        fresh.submit(work).result()
    assert [one == other for one, other in seen] == [True] * 3


def test_a_connection_that_the_server_ended_is_replaced(now: datetime, superuser: Any) -> None:
    """As after a restart of Postgres: the next request finds out without asking."""
    account = opened(now)
    connection = connections["billing"]
    connection.close_if_unusable_or_obsolete()
    assert connection.is_usable()
    superuser.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    for _ in range(100):
        if not connection.is_usable():
            break
        threading.Event().wait(0.02)
    assert not connection.is_usable()
    connection.health_check_done = False  # as at the beginning of a request
    gift(account.user_id, now)
    assert counts() == (1, 2, 1)
