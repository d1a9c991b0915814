"""Workers show what waits in their queues and rows; the figures follow what happens."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from cryptography.fernet import Fernet
from prometheus_client import REGISTRY, Gauge

from shared.ids import new_id
from shared.measures import Measure, Measures
from shared.queue import broker
from tests import servers
from tests.servers import Broker

SHOWN = Gauge("test_rows", "Rows of the test", ["state"])


def figure(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_queues_and_rows_are_counted_again_and_again(new_broker: Callable[[], Broker]) -> None:
    database, amqp_url = servers.create_database("users"), new_broker().amqp_url
    rows = await asyncpg.connect(database.owner)
    await rows.execute("CREATE TABLE job (state text)")
    await rows.execute("INSERT INTO job VALUES ('open'), ('open'), ('stuck')")
    sql = "SELECT state, count(*) FROM job GROUP BY state"
    measures = Measures("billing-api", database.owner, amqp_url, (Measure(SHOWN, sql),))
    async with broker.connected(amqp_url, "test") as connection:
        await broker.declare_topology(connection)
        publisher = await broker.Publisher.open(connection)
        for queue in ("billing.payments", "billing.payments", "billing.users.dead"):
            await publisher.publish("", queue, b"{}", message_id=str(new_id()))
        await measures.measure()
    assert figure("queue_messages", queue="billing.payments") == 2
    assert figure("queue_messages", queue="billing.users.dead") == 1
    assert figure("queue_messages", queue="billing.catalog") == 0
    assert (figure("test_rows", state="open"), figure("test_rows", state="stuck")) == (2, 1)
    await rows.execute("DELETE FROM job WHERE state = 'stuck'")
    await measures.measure()
    assert figure("test_rows", state="stuck") is None  # an old figure would be an alarm for nothing
    await rows.close()


async def test_what_is_away_leaves_the_last_figures_and_stops_nothing() -> None:
    away = Measures("user-api", "postgresql://x:y@127.0.0.1:9/z", "amqp://x:y@127.0.0.1:9/", ())
    await away.measure()
    await Measures("user-api", away.database_url, away.amqp_url, (Measure(SHOWN, "SELECT 1"),)).measure()


@pytest.mark.parametrize(
    ("database", "migrate", "module", "names"),
    [
        ("pay", ["alembic", "-c", "pay_api/alembic.ini", "upgrade", "head"], "pay_api.worker", ["OPEN"]),
        ("billing", ["python", "-m", "billing_api.manage", "migrate"], "billing_api.worker", ["MEASURES"]),
    ],
)
async def test_the_queries_of_the_workers_run_as_their_roles(
    database: str, migrate: list[str], module: str, names: list[str]
) -> None:
    secrets = {"TOKEN_ENCRYPTION_KEY": Fernet.generate_key().decode(), "LINK_SIGNING_KEY": str(Path())}
    made = servers.create_database(database, migrate=migrate, environment=secrets)
    found = [getattr(importlib.import_module(module), name) for name in names]
    measures = [item for entry in found for item in (entry if isinstance(entry, tuple) else (entry,))]
    connection = await asyncpg.connect(made.service)
    try:
        for measure in measures:
            for row in await connection.fetch(measure.sql):
                assert len(row) == len(measure.gauge._labelnames) + 1
    finally:
        await connection.close()
