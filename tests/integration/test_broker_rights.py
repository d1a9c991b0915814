"""Each RabbitMQ user may do what its service does, and nothing besides, on a real broker."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import ChannelClosed

from deploy.rabbitmq.users import PERMISSIONS, ManagementApi, make_users
from shared.queue import broker, topology
from tests.servers import Broker, rabbit_server

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a-password"
EXCHANGES = [exchange.name for exchange in topology.EXCHANGES]
STREAMS = [stream.name for stream in topology.STREAMS]
QUEUES = [queue.name for queue in topology.QUEUES]
DEAD = [queue.dead_letter_queue for queue in topology.QUEUES]
Act = Callable[[AbstractChannel], Awaitable[object]]


@pytest.fixture(scope="module")
async def amqp(new_broker: Callable[[], Broker]) -> Broker:
    made = await asyncio.to_thread(new_broker)
    async with broker.connected(made.amqp_url, "test") as connection:
        await broker.declare_topology(connection)
    api = ManagementApi(rabbit_server().management_url)
    await asyncio.to_thread(make_users, api, dict.fromkeys(PERMISSIONS, PASSWORD), quote(made.vhost, safe=""))
    return made


def url(amqp: Broker, user: str) -> str:
    parts = urlsplit(amqp.amqp_url)
    return urlunsplit(parts._replace(netloc=f"{user}:{PASSWORD}@{parts.hostname}:{parts.port}"))


def publish(exchange: str, key: str = "payment.created") -> Act:
    async def act(channel: AbstractChannel) -> None:
        target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
        await target.publish(aio_pika.Message(b"{}"), key, mandatory=False)

    return act


def read(queue: str) -> Act:
    async def act(channel: AbstractChannel) -> None:
        await channel.set_qos(prefetch_count=10)
        source = await channel.get_queue(queue, ensure=False)
        await source.cancel(await source.consume(_take))

    return act


async def _take(_: AbstractIncomingMessage) -> None: ...


def declare(queue: str) -> Act:
    async def act(channel: AbstractChannel) -> None:
        await channel.declare_queue(queue, durable=True)

    return act


def bind(queue: str, exchange: str) -> Act:
    async def act(channel: AbstractChannel) -> None:
        await (await channel.get_queue(queue, ensure=False)).bind(exchange, routing_key="#")

    return act


def delete(queue: str) -> Act:
    async def act(channel: AbstractChannel) -> None:
        await channel.queue_delete(queue)

    return act


def purge(queue: str) -> Act:
    async def act(channel: AbstractChannel) -> None:
        await (await channel.get_queue(queue, ensure=False)).purge()

    return act


def declare_exchange(name: str) -> Act:
    async def act(channel: AbstractChannel) -> None:
        await channel.declare_exchange(name, aio_pika.ExchangeType.TOPIC)

    return act


async def allowed(amqp: Broker, user: str, *acts: Act) -> None:
    async with broker.connected(url(amqp, user), "test") as connection:
        for act in acts:
            await act(await connection.channel())


async def refused(amqp: Broker, user: str, *acts: Act) -> None:
    async with broker.connected(url(amqp, user), "test") as connection:
        for number, act in enumerate(acts):
            channel = await connection.channel()
            try:
                await act(channel)
            except ChannelClosed as error:
                answer = str(error)
            else:
                answer = "done"
            assert "ACCESS_REFUSED" in answer, f"{user}, number {number} of the forbidden"


@pytest.mark.parametrize("user", ["user-api", "pay-api", "billing-api", "admin-panel"])
async def test_a_service_publishes_to_its_exchange_and_reads_its_queues(amqp: Broker, user: str) -> None:
    own = [exchange.name for exchange in topology.EXCHANGES if exchange.owner == user]
    queues = [queue.name for queue in topology.QUEUES if queue.consumer == user]
    await allowed(amqp, user, *map(publish, own), *map(read, queues))
    others = [name for name in QUEUES if name not in queues]
    await refused(
        amqp,
        user,
        *(publish(name) for name in (*EXCHANGES, "", "amq.topic") if name not in own),
        *map(read, [*others, *DEAD, *STREAMS]),
        *map(delete, [*QUEUES, *STREAMS]),
        declare("ext.something.mine"),
        declare_exchange("mine"),
        bind("billing.payments", "payments"),
    )
    parks = publish(topology.DEAD_LETTER_EXCHANGE, queues[0] if queues else "billing.payments")
    await (allowed if queues else refused)(amqp, user, parks)


async def test_the_scheduler_has_its_own_queues_only(amqp: Broker) -> None:
    await allowed(amqp, "scheduler", declare_exchange("scheduler"), declare("scheduler"), read("scheduler"))
    await refused(amqp, "scheduler", *map(publish, [*EXCHANGES, "dead-letters"]), *map(read, QUEUES))


async def test_the_data_bus_reader_has_exactly_its_rights(amqp: Broker) -> None:
    await allowed(
        amqp,
        "data-bus-reader",
        *map(read, STREAMS),
        declare("ext.crm.payments"),
        bind("ext.crm.payments", "payments"),
        bind("ext.crm.payments", "invoices"),
        read("ext.crm.payments"),
    )
    await refused(
        amqp,
        "data-bus-reader",
        *map(publish, [*EXCHANGES, "", "dead-letters", "amq.topic"]),
        *map(read, [*QUEUES, *DEAD]),
        *map(purge, QUEUES),
        *map(delete, [*QUEUES, *DEAD, *STREAMS]),
        *map(declare, ["crm.payments", "ext.", "ext.crm", "ext..payments", "billing.mine"]),
        declare_exchange("payments-too"),
        bind("ext.crm.payments", "users"),
        bind("ext.crm.payments", "catalog"),
        bind("ext.crm.payments", "dead-letters"),
        bind("billing.payments", "invoices"),
        bind("data-bus.payments", "invoices"),
    )
    await allowed(amqp, "data-bus-reader", delete("ext.crm.payments"))


async def test_the_commands_for_other_systems_as_the_data_bus_reader(amqp: Broker) -> None:
    """What docs/events.md tells to type: the events and nothing else; a refusal is one line."""
    async with broker.connected(amqp.amqp_url, "test") as connection:
        channel = await connection.channel()
        await channel.queue_delete("data-bus.invoices")  # with what other tests published
        await broker.declare_topology(connection)
        publisher = await broker.Publisher.open(connection)
        for number in range(3):
            body = json.dumps({"id": number}).encode()
            await publisher.publish("invoices", "invoice.issued", body, message_id=str(number))
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    tail = ("tail", "data-bus.invoices", "--from", "first", "--count", "2")
    replay = ("replay", "--stream", "data-bus.invoices", "--since", since)
    for command, expected in ((tail, [0, 1]), (replay, [0, 1, 2])):
        code, output, errors = await typed(amqp, command)
        assert (code, errors) == (0, "")
        assert [json.loads(line)["id"] for line in output.splitlines()] == expected
    code, output, errors = await typed(amqp, ("dead-letters", "list"))
    assert (code, output) == (1, "")
    assert errors.startswith("the broker says: ")
    assert errors.count("\n") == 1
    assert "ACCESS_REFUSED" in errors


async def typed(amqp: Broker, command: tuple[str, ...]) -> tuple[int | None, str, str]:
    """(exit code, stdout, stderr) of ``python -m shared.queue`` as the reader."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "shared.queue",
        *command,
        env={"PATH": os.environ["PATH"], "AMQP_URL": url(amqp, "data-bus-reader")},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode(), errors.decode()
