"""The past again: streams, the journal of a wiped broker, and how long rows are kept."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import text

from shared.ids import new_id
from shared.queue import broker, retention, topology
from shared.queue.__main__ import replay_journal, replay_stream
from shared.queue.messages.base import parse
from tests.shared.queue_world import World

ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))


async def test_stream_can_be_read_again_from_its_start(world: World) -> None:
    world.start(world.relay())
    payment = new_id()
    await world.publish((payment, "payment.created"), (payment, "payment.succeeded"))
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
    for _ in range(2):
        types = []
        async with broker.connected(world.amqp_url, "test") as connection, asyncio.timeout(10):
            async for message in broker.read_stream(connection, "data-bus.payments", "first"):
                types.append(parse(message.body).type)
                if len(types) == 2:
                    break
        assert types == ["payment.created", "payment.succeeded"]


async def test_a_stream_is_replayed_from_a_moment_until_now(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AMQP_URL", world.amqp_url)
    await replay_stream("data-bus.payments", datetime.now(UTC) - timedelta(hours=1))
    assert "{" not in capsys.readouterr().out
    world.start(world.relay())
    payments = [new_id() for _ in range(30)]
    await world.publish(*((payment, "payment.created") for payment in payments))
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
    await replay_stream("data-bus.payments", datetime.now(UTC) - timedelta(hours=1))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [json.loads(line)["aggregateid"] for line in lines] == [str(payment) for payment in payments]


async def test_a_wiped_broker_gets_the_journal_again_and_effects_stay_single(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.start(world.relay())
    payments = [new_id() for _ in range(20)]
    for kind in ("payment.created", "payment.succeeded"):
        await world.publish(*((payment, kind) for payment in payments[:10]))
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
    world.start(world.consumer())
    await world.until("SELECT count(*) FROM inbox", 20)
    world.stop.set()
    await asyncio.gather(*world.tasks)
    world.stop.clear()
    world.start(world.relay())
    await world.publish(*((payment, "payment.created") for payment in payments[10:]))
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
    async with broker.connected(world.amqp_url, "test") as connection:
        channel = await connection.channel()
        for name in topology.bound_to("payments"):
            await channel.queue_delete(name)
        await broker.declare_topology(connection)
    async with world.sessions.begin() as session:  # published before the moment, and of another exchange
        await session.execute(
            text(
                "UPDATE outbox SET published_at = published_at - interval '2 days'"
                " WHERE aggregate_id = (SELECT aggregate_id FROM outbox ORDER BY id LIMIT 1)"
            )
        )
    monkeypatch.setenv("DATABASE_URL", world.url)
    since = datetime.now(UTC) - timedelta(days=1)
    await replay_journal("invoices", since, "DATABASE_URL")
    await replay_journal("payments", since, "DATABASE_URL")
    shown = [line for line in capsys.readouterr().out.splitlines() if "sent again" in line]
    assert [line.split()[:2] for line in shown] == [["invoices:", "0"], ["payments:", "28"]]
    world.start(world.consumer())
    await world.until("SELECT count(*) FROM inbox", 30)
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
    assert (await world.rows("SELECT count(*) FROM effect"))[0][0] == 30
    monkeypatch.setenv("AMQP_URL", world.amqp_url)
    await replay_stream("data-bus.payments", since)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert len(lines) == 28


async def test_old_rows_are_purged_and_young_ones_kept(world: World) -> None:
    await world.publish(*((new_id(), "payment.created") for _ in range(5)))
    connection = await asyncpg.connect(world.url)
    await connection.execute("UPDATE outbox SET published_at = clock_timestamp() - interval '13 days'")
    await connection.execute(
        "UPDATE outbox SET published_at = $1 WHERE id < (SELECT max(id) FROM outbox)",
        datetime.now(UTC) - timedelta(days=15),
    )
    kept = "INSERT INTO inbox SELECT 'q', gen_random_uuid(), 't', 'a', gen_random_uuid(), 1, $1, 1, NULL, $2"
    for outcome, days in (("applied", 61), ("stale", 61), ("applied", 59), ("parked", 61)):
        await connection.execute(kept, outcome, datetime.now(UTC) - timedelta(days=days))
    key = (
        "INSERT INTO idempotency_key (id, caller, method, path_template, key, request_hash, created_at)"
        " VALUES (gen_random_uuid(), 'c', 'POST', '/', $1, '', $2)"
    )
    for name, days in (("old", 8), ("young", 6)):
        await connection.execute(key, name, datetime.now(UTC) - timedelta(days=days))
    await retention.purge(connection, batch=2)
    assert await connection.fetchval("SELECT count(*) FROM outbox") == 1
    rows = await connection.fetch("SELECT outcome FROM inbox ORDER BY outcome")
    assert [row["outcome"] for row in rows] == ["applied", "parked"]
    assert await connection.fetchval("SELECT string_agg(key, ',') FROM idempotency_key") == "young"
    await connection.close()
