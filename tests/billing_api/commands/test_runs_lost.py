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
