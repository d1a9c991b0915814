"""The relay: woken or not, told to stop in a batch, handed a message back, busy for days without a pause."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import text

from shared.ids import new_id
from shared.queue import broker, outbox
from shared.queue import relay as relay_module
from shared.queue.messages.users import UserState
from shared.queue.relay import Relay
from tests.shared.queue_world import NOW, QUEUE, World

UNPUBLISHED = "SELECT count(*) FROM outbox WHERE published_at IS NULL"


async def test_a_batch_in_flight_is_marked_and_the_rest_is_left_unclaimed(world: World) -> None:
    await world.publish(*((new_id(), "payment.created") for _ in range(2000)))
    relay = world.relay()
    relay.batch = 50
    world.start(relay)
    await world.until("SELECT count(*) > 0 FROM outbox WHERE published_at IS NOT NULL", True)
    world.stop.set()
    await asyncio.wait_for(asyncio.gather(*world.tasks), 10)
    (row,) = await world.rows(
        "SELECT count(*) FILTER (WHERE published_at IS NOT NULL) AS sent,"
        " count(*) FILTER (WHERE leased_until IS NOT NULL) AS leased FROM outbox"
    )
    assert 0 < row.sent < 2000
    assert row.leased == 0
    async with broker.connected(world.amqp_url, "test") as connection:
        depth = await broker.depths(connection, [QUEUE])
    assert depth == {QUEUE: row.sent}  # what arrived is marked, what is marked arrived


async def test_a_notification_wakes_the_relay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "SCAN_SECONDS", 600.0)
    world.start(world.relay())
    await world.publish((new_id(), "payment.created"))
    await world.until(UNPUBLISHED, 0)
    for _ in range(3):  # the relay sleeps by now
        await asyncio.sleep(0.2)
        await world.publish((new_id(), "payment.created"))
        await world.until(UNPUBLISHED, 0)


async def test_a_lost_notification_is_made_up_for_by_the_scan(world: World) -> None:
    world.start(world.relay())
    await world.publish((new_id(), "payment.created"))
    await world.until(UNPUBLISHED, 0)
    owner = await asyncpg.connect(world.owner_url)
    await owner.execute("ALTER TABLE outbox DISABLE TRIGGER USER")
    await owner.close()
    await world.publish((new_id(), "payment.created"))
    await world.until(UNPUBLISHED, 0)


async def test_a_row_locked_by_somebody_else_holds_up_no_other(world: World) -> None:
    locked = new_id()
    await world.publish(
        *((payment, "payment.created") for payment in (locked, *(new_id() for _ in range(9))))
    )
    async with world.sessions.begin() as session:
        sql = "SELECT 1 FROM outbox WHERE aggregate_id = :id FOR UPDATE"
        await session.execute(text(sql), {"id": locked})
        world.start(world.relay())
        await world.until(UNPUBLISHED, 1)
    await world.until(UNPUBLISHED, 0)


async def test_a_returned_message_waits_with_its_reason_and_goes_out_later(world: World) -> None:
    """The queue is there but no longer bound: the broker hands a mandatory message back."""
    user = new_id()
    state = UserState(
        user_id=user,
        status="active",
        locale="ru",
        time_zone="Europe/Moscow",
        token_epoch=0,
        created_at=NOW,
        updated_at=NOW,
    )
    async with broker.connected(world.amqp_url, "test") as connection:
        queue = await (await connection.channel()).get_queue("billing.users")
        await queue.unbind("users", "user.*")
        async with world.sessions.begin() as session:
            await outbox.add_async(session, "user-api", "user.registered", user, state, NOW)
        world.start(Relay(world.url, world.amqp_url, "user-api", ["users"]))
        await world.until("SELECT count(*) FROM outbox WHERE attempts >= 2 AND last_error IS NOT NULL", 1)
        (row,) = await world.rows("SELECT last_error, published_at FROM outbox")
        assert "NO_ROUTE" in row.last_error
        assert row.published_at is None
        await queue.bind("users", "user.*")
        await world.until(UNPUBLISHED, 0)
        message = await queue.get(timeout=20)
        assert message is not None
        assert message.routing_key == "user.registered"


async def test_old_rows_go_while_the_relay_is_never_idle(world: World) -> None:
    connection = await asyncpg.connect(world.url)
    await world.publish(*((new_id(), "payment.created") for _ in range(30)))
    long_ago = datetime.now(UTC) - timedelta(days=15)
    await connection.execute("UPDATE outbox SET published_at = $1", long_ago)
    relay = world.relay()
    relay.purge_every_seconds = 0.5
    busy = True

    async def load() -> None:
        while busy:
            await world.publish(*((new_id(), "payment.created") for _ in range(20)))

    world.start(relay)
    loading = asyncio.create_task(load())
    old = "SELECT count(*) FROM outbox WHERE published_at < clock_timestamp() - interval '14 days'"
    try:
        await world.until(old, 0)
    finally:
        busy = False
        await loading
    await world.until(UNPUBLISHED, 0)
    assert (await world.rows("SELECT count(*) FROM outbox"))[0][0] > 0  # and the young ones are still there
    await connection.close()
