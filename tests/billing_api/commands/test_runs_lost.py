"""Billing runs whose shards never came, or failed for the database's reasons; what is forgotten of runs."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from tests.billing_api.commands.test_renewing import run, subscriber


def start(world):
    from billing_api.billing_service.commands.issue_periodic_invoices import start_billing_run

    return start_billing_run(now=world.now)


def bill(world, started, shard: int = 0):
    from billing_api.billing_service.commands.issue_periodic_invoices import run_billing_shard

    return run_billing_shard(started.run_id, shard, now=world.now)


def row(started):
    from billing_api.billing_service.models import BillingRun

    return BillingRun.objects.get(id=started.run_id)


@pytest.fixture
def small_shards(monkeypatch):
    from billing_api.billing_service.commands import issue_periodic_invoices

    monkeypatch.setattr(issue_periodic_invoices, "SHARD_SIZE", 1)


def test_a_run_whose_shards_were_lost_is_ended_by_a_later_one_that_bills_the_rest(
    world, small_shards
) -> None:
    from billing_api.billing_service.models import BillingRun, Invoice, ReviewItem, Subscription

    for _ in range(3):
        subscriber(world)
    world.pass_time(days=31)
    lost = start(world)
    assert bill(world, lost).invoices == 1  # two of three tasks never come
    world.pass_time(minutes=16)
    assert run(world)[1] == 2
    dead = row(lost)
    assert (dead.status, dead.invoices, dead.errors, dead.skipped) == ("finished", 1, 2, 0)
    assert not BillingRun.objects.filter(status="running").exists()
    assert Invoice.objects.filter(kind="renewal").count() == 3
    assert set(Subscription.objects.values_list("billing_failures", flat=True)) == {0}
    assert not ReviewItem.objects.exists()
    assert bill(world, lost, 1).invoices == 0  # the task that comes late after all
    assert Invoice.objects.filter(kind="renewal").count() == 3


def test_a_run_that_is_lost_before_anything_was_done_ends_without_a_new_one(world) -> None:
    _, started = subscriber(world)
    world.pass_time(days=31)
    lost, other = start(world), start(world)
    assert bill(world, other).invoices == 1
    world.pass_time(minutes=16)
    assert run(world) == (None, 0)
    assert (row(lost).status, row(lost).errors) == ("finished", 1)
    assert world.subscription(started).billing_failures == 0


def test_a_run_that_gives_signs_of_life_is_left_alone(world, small_shards) -> None:
    for _ in range(3):
        subscriber(world)
    world.pass_time(days=31)
    slow = start(world)
    world.pass_time(minutes=14)
    bill(world, slow, 0)
    world.pass_time(minutes=14)
    start(world)
    assert row(slow).status == "running"
    for shard in (1, 2):
        assert bill(world, slow, shard).invoices == 1
    assert (row(slow).status, row(slow).invoices) == ("finished", 3)


def test_a_subscription_that_is_just_being_billed_is_not_taken_from_its_shard(world, monkeypatch) -> None:
    from django.db import connections

    from billing_api.billing_service import run_endings
    from billing_api.billing_service.commands import issue_periodic_invoices as billing_run

    subscriber(world)
    world.pass_time(days=31)
    slow = start(world)
    inside, go_on = threading.Event(), threading.Event()
    renew = billing_run._renew

    def waits(*given):
        inside.set()
        assert go_on.wait(10)
        return renew(*given)

    monkeypatch.setattr(billing_run, "_renew", waits)

    def shard() -> None:
        bill(world, slow)
        connections.close_all()

    thread = threading.Thread(target=shard)
    thread.start()
    assert inside.wait(10)
    try:
        world.pass_time(minutes=16)
        assert run_endings.close_dead(world.now) == 0
    finally:
        go_on.set()
        thread.join()
    assert (row(slow).status, row(slow).invoices, row(slow).errors) == ("finished", 1, 0)


def test_rows_of_old_runs_are_forgotten_and_their_sums_stay(world, billing) -> None:
    import asyncpg

    from billing_api.billing_service.models import BillingRun, RunItem
    from billing_api.worker import FORGOTTEN
    from shared.queue import retention

    async def purge() -> None:
        database = await asyncpg.connect(billing.service)
        try:
            await retention.purge(database, batch=2, also=FORGOTTEN)
        finally:
            await database.close()

    for _ in range(3):
        subscriber(world)
    world.pass_time(days=31)
    run(world)
    BillingRun.objects.update(started_at=datetime.now(UTC) - timedelta(days=29))  # of the database's time
    asyncio.run(purge())
    assert RunItem.objects.count() == 3
    BillingRun.objects.update(started_at="2020-01-01T00:00:00Z", status="running")
    asyncio.run(purge())
    assert RunItem.objects.count() == 3  # never of a run that goes on
    BillingRun.objects.update(status="finished")
    asyncio.run(purge())
    assert (RunItem.objects.count(), BillingRun.objects.get().invoices) == (0, 3)


def gives_up(state: str, times: int, monkeypatch):
    """The first ``times`` renewals end with that SQLSTATE, raised by Postgres itself; the calls made."""
    from billing_api.billing_service.commands import issue_periodic_invoices as billing_run
    from billing_api.billing_service.database import cursor

    renew, calls = billing_run._renew, []

    def renewed(*given):
        calls.append(state)
        if len(calls) <= times:
            with cursor() as database:
                database.execute(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$")
        return renew(*given)

    monkeypatch.setattr(billing_run, "_renew", renewed)
    return calls


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_transaction_given_up_for_another_s_sake_is_run_again(world, monkeypatch, state: str) -> None:
    from tests.billing_api.commands.test_changing import holds

    subscriber(world)
    world.pass_time(days=31)
    calls = gives_up(state, 4, monkeypatch)
    assert run(world)[1] == 1
    assert len(calls) == 5
    holds()


@pytest.mark.parametrize(("state", "tries"), [("40P01", 5), ("55P03", 1), ("57014", 1), ("53300", 1)])
def test_what_the_database_cannot_do_sets_no_subscription_aside(
    world, monkeypatch, state: str, tries: int
) -> None:
    from billing_api.billing_service import queries
    from billing_api.billing_service.models import ReviewItem

    _, started = subscriber(world)
    world.pass_time(days=31)
    calls = gives_up(state, 4 * tries, monkeypatch)
    for _ in range(4):
        run_id, invoices = run(world)
        assert (invoices, queries.run_view(run_id)["errors"]) == (0, 1)
    assert len(calls) == 4 * tries
    assert world.subscription(started).billing_failures == 0
    assert not ReviewItem.objects.exists()
    assert run(world)[1] == 1  # it is over


def test_a_database_that_goes_away_leaves_the_rest_to_the_next_run(
    world, superuser, monkeypatch, small_shards
) -> None:
    from django.db import DatabaseError, InterfaceError, OperationalError

    from billing_api.billing_service.commands import issue_periodic_invoices as billing_run
    from billing_api.billing_service.database import cursor

    _, started = subscriber(world)
    world.pass_time(days=31)
    renew = billing_run._renew

    def cut(*given):
        with cursor() as database:
            database.execute("SELECT pg_backend_pid()")
            (pid,) = database.fetchone()
        superuser.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        return renew(*given)

    monkeypatch.setattr(billing_run, "_renew", cut)
    for _ in range(4):
        try:
            run(world)
        except (DatabaseError, InterfaceError, OperationalError):
            continue
    monkeypatch.setattr(billing_run, "_renew", renew)
    assert world.subscription(started).billing_failures == 0
    assert run(world)[1] == 1


def test_other_errors_are_not_run_again(world, monkeypatch) -> None:
    subscriber(world)
    world.pass_time(days=31)
    calls = gives_up("22003", 1, monkeypatch)
    assert run(world)[1] == 0
    assert len(calls) == 1


def test_two_commands_in_a_real_deadlock_are_both_done(world) -> None:
    from billing_api.billing_service import locks
    from billing_api.billing_service.database import atomic, rerun
    from billing_api.billing_service.models import Account
    from tests.billing_api.commands.test_renewing import parallel

    for _ in range(2):
        subscriber(world)
    ids = list(Account.objects.order_by("id").values_list("id", flat=True))
    met, tries = threading.Barrier(2), [0, 0]

    def both(number: int) -> None:
        first, second = ids if number else reversed(ids)
        tries[number] += 1
        with atomic():
            locks.lock_account(first)
            if tries[number] == 1:
                met.wait()
            locks.lock_account(second)

    assert parallel(lambda number: rerun(lambda: both(number)), 2) == []
    assert sorted(tries) == [1, 2]


def test_inside_a_transaction_nothing_is_run_again(world) -> None:
    from django.db import OperationalError

    from billing_api.billing_service.database import atomic, cursor, rerun

    tries = []

    def work() -> None:
        tries.append(1)
        with atomic(), cursor() as database:
            database.execute("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$")

    with pytest.raises(OperationalError), atomic():
        rerun(work)
    assert len(tries) == 1
