"""A relay that is told to stop finishes the batch it has begun and leaves no row claimed."""

from __future__ import annotations

import asyncio

from shared.ids import new_id
from shared.queue import broker
from tests.shared.queue_world import QUEUE, World


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
