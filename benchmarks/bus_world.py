"""What the figures of the data bus stand on: an outbox, a broker with the whole topology, a relay process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from shared import tables
from shared.ids import new_id
from shared.money import Money
from shared.queue import broker, topology
from shared.queue.messages.payments import PaymentState, PaymentStatus
from shared.queue.outbox import build_envelope
from tests import servers

EXCHANGE, EVENT, QUEUE = "payments", "payment.succeeded", "billing.payments"
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
INSERT_SQL = """
INSERT INTO outbox (event_id, exchange, event_type, aggregate_type, aggregate_id, aggregate_sequence,
    envelope, created_at)
VALUES ($1, 'payments', 'payment.succeeded', 'payment', $2, 1, $3::jsonb, $4)
"""


@dataclass(frozen=True)
class World:
    database_url: str
    amqp_url: str


def make_commits_durable() -> None:
    """The servers of the tests trade safety for speed; here every commit reaches the disk."""
    server = servers.postgres_server()
    for name in _DURABLE:
        server.sql(f"ALTER SYSTEM SET {name} = 'on'")
    server.sql("SELECT pg_reload_conf()")


def build() -> World:
    async def prepare(owner: str, amqp_url: str) -> None:
        connection = await asyncpg.connect(owner)
        await connection.execute(tables.SQL)
        await connection.execute("ALTER TABLE outbox SET (autovacuum_enabled = true)")
        await connection.close()
        async with broker.connected(amqp_url, "benchmark") as bus:
            await broker.declare_topology(bus)

    urls = servers.create_database("pay")
    make_commits_durable()
    amqp_url = servers.amqp_vhost().amqp_url
    asyncio.run(prepare(urls.owner, amqp_url))
    return World(urls.service, amqp_url)


def row() -> tuple[object, ...]:
    """An outbox row as PayAPI writes it for a payment that succeeded."""
    payment, now = new_id(), datetime.now(UTC)
    state = PaymentState(
        payment_id=payment,
        invoice_id=new_id(),
        user_id=new_id(),
        purpose="invoice",
        initiator="customer",
        provider="cloudpayments",
        status=PaymentStatus.SUCCEEDED,
        amount=Money(49_900),
        captured=Money(49_900),
        refunded=Money(0),
        card_mask="411111******1111",
        created_at=now,
        succeeded_at=now,
        updated_at=now,
    )
    envelope = build_envelope("pay-api", EVENT, payment, 1, state, now)
    return envelope.id, payment, json.dumps(envelope.to_json()), now


@contextmanager
def relaying(world: World) -> Iterator[subprocess.Popen[bytes]]:
    """pay-worker's relay in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bus_relay", world.database_url, world.amqp_url]
    log = servers.run_directory() / "bench-relay.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=servers.ROOT, env=dict(os.environ), stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@asynccontextmanager
async def consuming(world: World, arrived: dict[str, int]) -> AsyncIterator[None]:
    """Notes when each message of the queue came into a consumer's hands (monotonic nanoseconds)."""
    async with (
        broker.connected(world.amqp_url, "benchmark-consumer") as connection,
        broker.messages(connection, QUEUE, prefetch=500) as incoming,
    ):

        async def take() -> None:
            async for message in incoming:
                arrived[str(message.message_id)] = time.monotonic_ns()
                await message.ack()

        taking = asyncio.create_task(take())
        try:
            yield
        finally:
            taking.cancel()
            await asyncio.wait([taking])


async def purge(world: World) -> None:
    """Empties the queues (the stream keeps what it has)."""
    async with broker.connected(world.amqp_url, "benchmark") as connection:
        channel = await connection.channel()
        for queue in topology.QUEUES:
            if queue.exchange == EXCHANGE:
                await (await channel.get_queue(queue.name, ensure=False)).purge()
