"""Messages that keep failing: parked with their reason, kept, redriven; outages cost no try."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable

import pytest
from sqlalchemy import text

from shared.errors import unavailable
from shared.ids import new_id
from shared.queue import broker, topology
from shared.queue.__main__ import _parked, dead_letters
from shared.queue.messages.base import Envelope, parse
from shared.queue.outages import is_outage
from tests.servers import Broker
from tests.shared.queue_world import QUEUE, World, parked_messages

ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("poison", "good"),
    [(4, 40), pytest.param(40 * ROUNDS, 1000 * ROUNDS, marks=pytest.mark.long)],
)
async def test_poison_is_parked_with_its_reason_redriven_and_others_flow(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    figure: Callable[[str], None],
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
    figure(f"{poison} poison messages among {good} good: parked after {seconds:.1f} s, all redriven")


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
