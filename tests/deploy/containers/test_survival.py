"""What a stop, a start and a new broker container must not lose; run after the story, on what it left."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

import httpx
import psycopg2
import pytest

from deploy.compose import ComposeStack
from shared.queue import broker, topology
from tests.deploy.containers.engine import compose, containers

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]
STREAMS = ("data-bus.payments", "data-bus.invoices")
KEPT = {
    "users": "SELECT id::text FROM users",
    "pay": "SELECT id::text FROM payment",
    "billing": "SELECT id::text FROM invoice",
    "movies": "SELECT id::text FROM product",
}
LAST_MESSAGE_SECONDS = 5.0  # silence after which a stream has been read to its end


async def read_from_first(stream: str) -> list[str]:
    """Ids of all events of a stream, read as another system would."""
    ids: list[str] = []

    async def read() -> None:
        amqp = str(ComposeStack().urls()["amqp"])
        async with broker.connected(amqp, "survival") as connection:
            async for message in broker.read_stream(connection, stream, "first"):
                ids.append(json.loads(message.body)["id"])

    task = asyncio.create_task(read())
    seen = -1
    while seen != len(ids) or not ids:
        seen = len(ids)
        done, _ = await asyncio.wait([task], timeout=LAST_MESSAGE_SECONDS)
        assert not done, task.exception()
        assert ids, f"{stream} is empty: run the story first (make demo)"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return ids


def amqp_address() -> str:
    """Host and port of the broker as this machine reaches it."""
    return urlsplit(str(ComposeStack().urls()["amqp"])).netloc.rsplit("@", 1)[1]


def stored() -> dict[str, set[str]]:
    """Ids of what matters in each database."""
    urls = ComposeStack().urls()["databases"]
    assert isinstance(urls, dict)
    found: dict[str, set[str]] = {}
    for database, question in KEPT.items():
        connection = psycopg2.connect(urls[database])
        with connection, connection.cursor() as cursor:
            cursor.execute(question)
            found[database] = {row[0] for row in cursor.fetchall()}
        connection.close()
    return found


def provider_report() -> dict[str, object]:
    """What the provider's stand-in knows of money moved."""
    answer = httpx.get(
        f"{ComposeStack().urls()['cloudpayments_sandbox']}/oracle", trust_env=False, timeout=10
    )
    report: dict[str, object] = answer.raise_for_status().json()
    return report


def public_keys() -> object:
    address = f"{ComposeStack().urls()['user_api']}/.well-known/jwks.json"
    return httpx.get(address, trust_env=False, timeout=10).raise_for_status().json()


async def wait_until_healthy(patience_seconds: float = 120) -> None:
    """Until every container that has a health check is healthy again."""
    async with asyncio.timeout(patience_seconds):
        while True:
            states = [made.facts["State"] for made in containers().values()]
            if all(state.get("Health", {}).get("Status", "healthy") == "healthy" for state in states):
                return
            await asyncio.sleep(1)


async def test_a_parked_message_is_still_there_however_often_it_is_looked_at() -> None:
    """RabbitMQ 4 has a limit of deliveries where none is declared; 3.10 of the local stack has none."""
    owner = containers()["broker-migrate"].setting("AMQP_URL").replace("rabbitmq:5672", amqp_address())
    dead = topology.QUEUES[0].dead_letter_queue
    async with broker.connected(owner, "survival") as connection:
        publisher = await broker.Publisher.open(connection)
        await publisher.publish("", dead, b"{}", message_id="looked-at")
    for _ in range(30):
        async with broker.connected(owner, "survival") as connection:
            seen = [message.message_id async for message in broker.take(connection, dead, 10)]
            assert "looked-at" in seen
    async with broker.connected(owner, "survival") as connection:
        async for message in broker.take(connection, dead, 10):
            if message.message_id == "looked-at":
                await message.ack()


async def test_a_recreated_broker_keeps_every_event() -> None:
    before = {stream: await read_from_first(stream) for stream in STREAMS}
    old = containers()["rabbitmq"].facts["Id"]
    compose("up", "-d", "--force-recreate", "--no-deps", "--wait", "rabbitmq")
    assert containers()["rabbitmq"].facts["Id"] != old
    await wait_until_healthy()
    for stream, ids in before.items():
        assert (await read_from_first(stream))[: len(ids)] == ids


async def test_down_and_up_loses_nothing() -> None:
    before = {stream: await read_from_first(stream) for stream in STREAMS}
    rows, report, keys = stored(), provider_report(), public_keys()
    assert all(rows.values())
    compose("down")
    compose("up", "-d", "--wait", "--wait-timeout", "300")
    after = stored()
    for database, ids in rows.items():
        assert ids <= after[database], database
    assert provider_report() == report
    assert public_keys() == keys
    for stream, ids in before.items():
        assert (await read_from_first(stream))[: len(ids)] == ids
