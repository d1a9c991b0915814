"""Outbox, relay and inbox on a real Postgres and a real RabbitMQ."""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Callable
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from shared.ids import new_id
from shared.queue import broker, outbox, topology
from shared.queue.messages.base import event_types, parse
from shared.queue.messages.payments import PaymentStatus
from shared.queue.messages.users import AccessState
from shared.queue.relay import Relay
from tests.shared.queue_world import NOW, QUEUE, World, state

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
        async with asyncio.timeout(20):
            message = await anext(broker.take(connection, QUEUE, 1))
        assert parse(message.body).type == "payment.created"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "aggregates", [60, pytest.param(2500 * ROUNDS, marks=pytest.mark.long)], ids=["240 rows", "10,000 rows"]
)
async def test_two_relays_keep_the_order_of_each_aggregate(
    world: World, aggregates: int, figure: Callable[[str], None]
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
    figure(f"two relays: {aggregates * 4} rows in {seconds:.1f} s, in order per aggregate")


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
        async with asyncio.timeout(20):
            message = await anext(broker.take(connection, QUEUE, 1))
        assert parse(message.body).aggregatesequence == 1


async def test_unroutable_publish_is_an_error(world: World) -> None:
    async with broker.connected(world.amqp_url, "test") as connection:
        publisher = await broker.Publisher.open(connection)
        with pytest.raises(broker.NotDelivered):
            await publisher.publish("", "no-such-queue", b"{}", message_id="x")


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
