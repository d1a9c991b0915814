"""Outbox, relay, inbox, dead letters and streams on a real Postgres and a real RabbitMQ."""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from shared.errors import unavailable
from shared.ids import new_id
from shared.queue import broker, outbox, retention, topology
from shared.queue.__main__ import _parked, dead_letters, replay_journal, replay_stream
from shared.queue.messages.base import Envelope, event_types, parse
from shared.queue.messages.payments import PaymentStatus
from shared.queue.messages.users import AccessState
from shared.queue.outages import is_outage
from shared.queue.relay import Relay
from tests.servers import Broker
from tests.shared.queue_world import NOW, QUEUE, World, parked_messages, state

ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))


async def test_event_travels_from_commit_to_effect_once(world: World) -> None:
    world.start(world.relay())
    world.start(world.consumer())
    payment = new_id()
    await world.publish((payment, "payment.created"), (payment, "payment.succeeded"))
    await world.until("SELECT count(*) FROM effect", 2)
    # a relay killed between publishing and marking publishes again; the inbox absorbs it
    async with world.sessions.begin() as session:
        await session.execute(text("UPDATE outbox SET published_at = NULL"))
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
    await world.publish((payment, "payment.failed"))
    await world.until("SELECT count(*) FROM effect", 3)
    assert [row.sequence for row in await world.rows("SELECT sequence FROM effect ORDER BY sequence")] == [
        1,
        2,
        3,
    ]


async def test_rolled_back_change_tells_nothing(world: World) -> None:
    session = world.sessions()
    await session.begin()
    await world.add(session, new_id(), "payment.created")
    await session.rollback()
    await session.close()
    assert (await world.rows("SELECT count(*) FROM outbox"))[0][0] == 0
    assert (await world.rows("SELECT count(*) FROM aggregate_sequence"))[0][0] == 0


async def test_older_state_after_newer_is_ignored_and_a_gap_is_not(world: World) -> None:
    payment = new_id()
    async with world.sessions.begin() as session:
        first = await world.add(session, payment, "payment.created")
        second = await world.add(session, payment, "payment.authorized")
        third = await world.add(session, payment, "payment.succeeded")
    for envelope in (first, third, second, third):
        await world.handle(envelope)
    rows = await world.rows("SELECT sequence FROM effect ORDER BY sequence")
    assert [row.sequence for row in rows] == [1, 3]
    outcomes = await world.rows("SELECT outcome FROM inbox ORDER BY aggregate_sequence")
    assert [row.outcome for row in outcomes] == ["applied", "stale", "applied"]


async def test_row_waits_while_a_service_queue_is_missing(world: World) -> None:
    async with broker.connected(world.amqp_url, "test") as connection:
        channel = await connection.channel()
        await channel.queue_delete(QUEUE)
        assert await broker.missing_queues(connection, ["payments"]) == [QUEUE]
        world.start(world.relay())
        await world.publish((new_id(), "payment.created"))
        await asyncio.sleep(1.5)
        assert (await world.rows("SELECT count(*) FROM outbox WHERE published_at IS NULL"))[0][0] == 1
        await broker.declare_topology(connection)
        await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
        async with asyncio.timeout(5):
            message = await anext(broker.take(connection, QUEUE, 1))
        assert parse(message.body).type == "payment.created"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "aggregates", [60, pytest.param(2500 * ROUNDS, marks=pytest.mark.long)], ids=["240 rows", "10,000 rows"]
)
async def test_two_relays_keep_the_order_of_each_aggregate(
    world: World, aggregates: int, capsys: pytest.CaptureFixture[str]
) -> None:
    payments = [new_id() for _ in range(aggregates)]
    for kind in ("payment.created", "payment.authorized", "payment.succeeded", "payment.cancelled"):
        await world.publish(*((payment, kind) for payment in payments))
    began_at = asyncio.get_running_loop().time()
    for _ in range(2):
        world.start(world.relay())
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0, 300)
    seconds = asyncio.get_running_loop().time() - began_at
    seen: dict[UUID, list[int]] = defaultdict(list)
    async with (
        broker.connected(world.amqp_url, "test") as connection,
        broker.messages(connection, QUEUE, prefetch=500) as incoming,
    ):
        for _ in range(aggregates * 4):
            message = await asyncio.wait_for(anext(incoming), 10)
            envelope = parse(message.body)
            seen[envelope.aggregateid].append(envelope.aggregatesequence)
            await message.ack()
    assert len(seen) == aggregates
    assert all(list(dict.fromkeys(sequences)) == [1, 2, 3, 4] for sequences in seen.values())
    with capsys.disabled():
        print(f"\ntwo relays: {aggregates * 4} rows in {seconds:.1f} s", flush=True)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("poison", "good"),
    [(4, 40), pytest.param(40 * ROUNDS, 1000 * ROUNDS, marks=pytest.mark.long)],
)
async def test_poison_is_parked_with_its_reason_redriven_and_others_flow(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    poison: int,
    good: int,
) -> None:
    bad = [new_id() for _ in range(poison)]
    payments = [new_id() for _ in range(good)]
    world.poison.update(bad)
    step = good // poison
    for at, payment in enumerate(bad):
        payments.insert(at * (step + 1), payment)
    await world.publish(*((payment, "payment.created") for payment in payments))
    began_at = asyncio.get_running_loop().time()
    world.start(world.relay())
    world.start(world.consumer())
    await world.until("SELECT count(*) FROM effect", good, 120)
    await world.until("SELECT count(*) FROM inbox WHERE outcome = 'parked'", poison, 60)
    seconds = asyncio.get_running_loop().time() - began_at
    rows = await world.rows("SELECT attempts, last_error FROM inbox WHERE outcome = 'parked'")
    assert {(row.attempts, row.last_error) for row in rows} == {(5, "LookupError: no such account")}
    async with broker.connected(world.amqp_url, "test") as connection:
        parked = [_parked(m) async for m in broker.take(connection, f"{QUEUE}.dead", 100 * ROUNDS)]
    assert {p["subject"] for p in parked} == {f"payment/{payment}" for payment in bad}
    assert len(parked) == poison
    assert {p["reason"] for p in parked} == {"LookupError: no such account"}
    assert {p["attempts"] for p in parked} == {"5"}
    world.poison.clear()
    monkeypatch.setenv("AMQP_URL", world.amqp_url)
    await dead_letters("redrive", QUEUE, 1000 * ROUNDS)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    shown = [json.loads(line)["subject"] for line in lines]
    assert sorted(shown) == sorted(f"payment/{payment}" for payment in bad)
    await world.until("SELECT count(*) FROM effect", good + poison, 60)
    assert (await world.rows("SELECT count(DISTINCT payment_id) FROM effect"))[0][0] == good + poison
    async with broker.connected(world.amqp_url, "test") as connection:
        assert [m async for m in broker.take(connection, f"{QUEUE}.dead", 10)] == []
    with capsys.disabled():
        print(f"\n{poison} poison among {good} good: parked after {seconds:.1f} s, redriven", flush=True)


async def test_a_redriven_message_has_all_its_tries_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = new_id()
    world.poison.add(bad)
    world.start(world.relay())
    world.start(world.consumer())
    await world.publish((bad, "payment.created"))
    for _ in range(2):
        await world.until("SELECT count(*) FROM inbox WHERE outcome = 'parked'", 1)
        assert (await world.rows("SELECT attempts FROM inbox"))[0][0] == 5
        async with world.sessions.begin() as session:
            await session.execute(text("UPDATE inbox SET last_error = NULL"))
        monkeypatch.setenv("AMQP_URL", world.amqp_url)
        await dead_letters("redrive", QUEUE, 10)
        await world.until("SELECT count(*) FROM inbox WHERE last_error IS NOT NULL", 1)


async def test_a_full_dead_letter_queue_holds_up_nobody_and_loses_nothing(world: World) -> None:
    full = f"{QUEUE}.dead"
    async with broker.connected(world.amqp_url, "test") as connection:
        channel = await connection.channel()
        await channel.queue_delete(full)
        small = {"x-max-length": 1, "x-overflow": "reject-publish"}
        dead = await channel.declare_queue(full, durable=True, arguments=small)
        await dead.bind(topology.DEAD_LETTER_EXCHANGE, routing_key=QUEUE)
        bad = [new_id() for _ in range(5)]
        world.poison.update(bad)
        consumer = world.consumer()
        consumer.park_again_seconds = 0.3
        world.start(world.relay())
        world.start(consumer)
        good = [new_id() for _ in range(100)]
        await world.publish(*((payment, "payment.created") for payment in bad))
        await world.until("SELECT count(*) FROM inbox WHERE attempts >= 5", 5)
        await world.publish(*((payment, "payment.created") for payment in good))
        await world.until("SELECT count(*) FROM effect", 100)
        assert (await channel.declare_queue(full, passive=True)).declaration_result.message_count == 1
        kept: set[str] = set()
        async with asyncio.timeout(20):
            while len(kept) < 5:  # as they are taken out there is room for the next
                async for message in broker.take(connection, full, 5):
                    kept.add(str(parse(message.body).aggregateid))
                    await message.ack()
                await asyncio.sleep(0.05)
        assert kept == {str(payment) for payment in bad}


async def test_a_queue_deleted_under_a_running_relay_makes_its_rows_wait(world: World) -> None:
    world.start(world.relay())
    await world.publish((new_id(), "payment.created"))
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
    async with broker.connected(world.amqp_url, "test") as connection:
        await (await connection.channel()).queue_delete(QUEUE)
        await world.publish((new_id(), "payment.created"))
        await world.until("SELECT count(*) FROM outbox WHERE last_error LIKE '%billing.payments'", 1)
        assert (await world.rows("SELECT count(*) FROM outbox WHERE published_at IS NULL"))[0][0] == 1
        await broker.declare_topology(connection)
        await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
        async with asyncio.timeout(5):
            message = await anext(broker.take(connection, QUEUE, 1))
        assert parse(message.body).aggregatesequence == 1


async def test_a_long_outage_of_the_database_costs_one_delivery_and_no_try(world: World) -> None:
    consumer = world.consumer()
    consumer.outage_patience_seconds = 0.1
    working, consumer.database_url = consumer.database_url, "postgresql://nobody@127.0.0.1:1/none"
    calls, second = 0, asyncio.Event()

    async def away(envelope: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            second.set()
        raise ConnectionRefusedError

    handle, consumer.handle = consumer.handle, away
    world.start(world.relay())
    world.start(consumer)
    await world.publish((new_id(), "payment.created"))
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
    await asyncio.sleep(0.5)
    assert calls == 0  # nothing is taken while the database does not answer
    consumer.database_url = working
    await asyncio.wait_for(second.wait(), 20)  # the patience is over: the message goes back
    consumer.handle = handle
    await world.until("SELECT count(*) FROM effect", 1)
    assert (await world.rows("SELECT count(*) FROM inbox WHERE outcome = 'applied'"))[0][0] == 1


async def test_a_handler_that_fails_after_its_commit_is_parked_too(world: World) -> None:
    consumer = world.consumer()
    handle = consumer.handle

    async def commit_and_fail(envelope: Envelope) -> None:
        await handle(envelope)
        raise LookupError("after the commit")

    consumer.handle = commit_and_fail
    world.start(world.relay())
    world.start(consumer)
    await world.publish((new_id(), "payment.created"))
    async with broker.connected(world.amqp_url, "test") as connection:
        assert len(await parked_messages(connection)) == 1
    assert (await world.rows("SELECT count(*) FROM effect"))[0][0] == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{not json", "unreadable"),
        (b"[]", "unreadable"),
        (json.dumps({"specversion": "1.0"}).encode(), "unreadable"),
    ],
)
async def test_unreadable_message_is_kept_not_dropped(world: World, body: bytes, reason: str) -> None:
    world.start(world.consumer())
    async with broker.connected(world.amqp_url, "test") as connection:
        publisher = await broker.Publisher.open(connection)
        await publisher.publish("payments", "payment.created", body, message_id="x")
        parked = await parked_messages(connection)
    assert parked[0].body == body
    assert str((parked[0].headers or {})["x-reason"]).startswith(reason)


async def test_unknown_major_version_is_parked(world: World) -> None:
    async with world.sessions.begin() as session:
        envelope = await world.add(session, new_id(), "payment.created")
        await session.rollback()
    body = envelope.to_json() | {"dataschema": "/schemas/payment.created/v2"}
    world.start(world.consumer())
    async with broker.connected(world.amqp_url, "test") as connection:
        publisher = await broker.Publisher.open(connection)
        await publisher.publish("payments", "payment.created", json.dumps(body).encode(), message_id="x")
        assert len(await parked_messages(connection)) == 1


async def test_unroutable_publish_is_an_error(world: World) -> None:
    async with broker.connected(world.amqp_url, "test") as connection:
        publisher = await broker.Publisher.open(connection)
        with pytest.raises(broker.NotDelivered):
            await publisher.publish("", "no-such-queue", b"{}", message_id="x")


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


async def test_relay_fences_a_lease_it_slept_over(world: World) -> None:
    from shared.queue.flight import CLAIM_SQL, MARK_SQL

    await world.publish((new_id(), "payment.created"))
    connection = await asyncpg.connect(world.url)
    slept, woken = new_id(), new_id()
    rows = await connection.fetch(CLAIM_SQL, slept, 10, 30)
    assert len(rows) == 1
    assert await connection.fetch(CLAIM_SQL, woken, 10, 30) == []
    await connection.execute("UPDATE outbox SET leased_until = clock_timestamp() - interval '1 s'")
    assert len(await connection.fetch(CLAIM_SQL, woken, 10, 30)) == 1
    assert await connection.execute(MARK_SQL, [rows[0]["id"]], slept) == "UPDATE 0"
    assert await connection.execute(MARK_SQL, [rows[0]["id"]], woken) == "UPDATE 1"
    await connection.close()


def test_envelope_is_a_cloudevent_to_an_independent_library() -> None:
    from cloudevents.core.bindings.http import HTTPMessage, from_http
    from cloudevents.core.formats.json import JSONFormat

    payment = new_id()
    told = state(payment, PaymentStatus.SUCCEEDED)
    envelope = outbox.build_envelope("pay-api", "payment.succeeded", payment, 7, told, NOW)
    headers = {"content-type": broker.CONTENT_TYPE}
    event = from_http(
        HTTPMessage(headers=headers, body=json.dumps(envelope.to_json()).encode()), JSONFormat()
    )
    assert event.get_type() == "payment.succeeded"
    assert event.get_extension("aggregatesequence") == 7
    assert event.get_time() == NOW


async def test_a_dead_letter_queue_of_an_older_version_is_made_anew_once_it_is_empty(
    new_broker: Callable[[], Broker],
) -> None:
    """RabbitMQ 4 gave those without a limit one of 20: parked messages were lost by being looked at."""
    amqp_url = (await asyncio.to_thread(new_broker)).amqp_url
    older = {"x-queue-type": "quorum", "x-max-length": 100_000, "x-overflow": "reject-publish"}
    empty, filled = (topology.queue(name) for name in ("users.payments", QUEUE))
    async with broker.connected(amqp_url, "test") as connection:
        channel = await connection.channel()
        for queue in (empty, filled):
            await channel.declare_queue(queue.dead_letter_queue, durable=True, arguments=older)
        publisher = await broker.Publisher.open(connection)
        await publisher.publish("", filled.dead_letter_queue, b"{}", message_id="x")
        for _ in range(2):
            await broker.declare_topology(connection)
        for queue in (empty, filled):
            await publisher.publish(topology.DEAD_LETTER_EXCHANGE, queue.name, b"{}", message_id="y")
        kept = [m.message_id async for m in broker.take(connection, filled.dead_letter_queue, 10)]
        assert kept == ["x", "y"]
        arguments = empty.dead_letter_arguments()
        assert arguments["x-delivery-limit"] > 1_000_000
        await channel.declare_queue(empty.dead_letter_queue, durable=True, arguments=arguments)


def test_every_bound_queue_has_a_dead_letter_queue_and_limits() -> None:
    for queue in topology.QUEUES:
        arguments = queue.arguments()
        assert arguments["x-delivery-limit"] == topology.DELIVERY_LIMIT
        assert arguments["x-dead-letter-strategy"] == "at-least-once"
        assert arguments["x-overflow"] == "reject-publish"
    assert topology.bound_to("payments") == ["billing.payments", "users.payments", "data-bus.payments"]


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


def test_lock_timeout_is_no_outage_and_a_refused_connection_is() -> None:
    class OperationalError(Exception):
        pgcode: str | None = None

    class LockNotAvailable(OperationalError):
        pgcode = "55P03"

    def raised(outer: Exception, inner: Exception) -> Exception:
        try:
            try:
                raise inner
            except Exception as cause:
                raise outer from cause
        except Exception as error:
            return error

    # Django wraps the driver's error in one of its own that carries no SQLSTATE.
    assert not is_outage(raised(OperationalError(), LockNotAvailable()))
    assert is_outage(raised(OperationalError(), OperationalError()))

    class AdminShutdown(OperationalError):
        pgcode = "57P01"

    assert is_outage(raised(OperationalError(), AdminShutdown()))
    assert is_outage(ConnectionRefusedError())
    assert is_outage(unavailable("catalog-catching-up"))
    assert not is_outage(LookupError("no such account"))


async def test_event_nobody_of_ours_waits_for_leaves_the_outbox(world: World) -> None:
    """``access.*`` has no queue of ours: it must neither wait for ever nor hold up other events."""
    user = new_id()
    state = AccessState(user_id=user, version=1, rights=[], changed=[], updated_at=NOW)
    async with world.sessions.begin() as session:
        await outbox.add_async(session, "user-api", "access.granted", user, state, NOW)
    world.start(Relay(world.url, world.amqp_url, "user-api", ["users"]))
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)


def test_types_that_only_strangers_read_are_known() -> None:
    unawaited = {
        name for name, state in event_types().items() if not topology.is_awaited(state.EXCHANGE, name)
    }
    assert unawaited == {"access.granted", "access.revoked", "message.requested"}
