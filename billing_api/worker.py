"""billing-worker: consumers of three queues, the outbox relay, the sender of orders, proofs, health."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from prometheus_client import Gauge

from billing_api.settings import AUDIENCE, BillingSettings, settings
from shared import logs, tracing
from shared.clock import Clock
from shared.health import Health
from shared.measures import Measure, Measures
from shared.queue import topology
from shared.queue.consumer import Consumer
from shared.queue.relay import run_relay
from shared.worker import Loop, run_worker

# Threads that work in the database, each with a connection of its own.
THREADS: Final = 8

# The run itself with its sums stays; its rows, one per subscription and run, are needed while people look.
RUN_ITEMS_KEPT_DAYS: Final = 30
FORGET_RUN_ITEMS_SQL: Final = """
DELETE FROM run_item WHERE id IN (
    SELECT i.id FROM billing_run r JOIN run_item i ON i.run_id = r.id
    WHERE r.status = 'finished' AND r.started_at < clock_timestamp() - make_interval(days => $1) LIMIT $2)
"""
FORGOTTEN: Final = ((FORGET_RUN_ITEMS_SQL, RUN_ITEMS_KEPT_DAYS),)

MEASURES: Final = (
    Measure(
        Gauge("billing_runs", "Billing runs that are not finished", ["status"]),
        "SELECT 'running', count(*) FROM billing_run WHERE status = 'running'",
    ),
    Measure(
        Gauge("billing_run_errors", "Subscriptions the newest finished run could not invoice"),
        """
        SELECT coalesce((SELECT errors FROM billing_run WHERE status = 'finished'
            ORDER BY started_at DESC LIMIT 1), 0)
        """,
    ),
    Measure(
        Gauge("collection_attempts_live", "Collection attempts without an outcome", ["state"]),
        """
        SELECT state, count(*) FROM collection_attempt
        WHERE state NOT IN ('succeeded', 'failed', 'refused', 'withdrawn') GROUP BY state
        """,
    ),
    Measure(
        Gauge("billing_orders_open", "Orders to UserAPI that are not done", ["kind", "state"]),
        """
        SELECT kind, state, count(*) FROM outgoing_order
        WHERE state IN ('pending', 'sent') GROUP BY kind, state
        """,
    ),
    Measure(
        Gauge(
            "billing_findings_open", "Findings that wait for a person, refused refunds among them", ["kind"]
        ),
        "SELECT kind, count(*) FROM review_item WHERE resolved_at IS NULL GROUP BY kind",
    ),
)


def _consumers(own: BillingSettings, clock: Clock) -> dict[str, Loop]:
    from billing_api.consuming import handler

    return {
        queue.name: Consumer(
            queue.name,
            own.amqp_url.get_secret_value(),
            own.database_url.get_secret_value(),
            clock,
            handler(queue.name, clock),
        ).run
        for queue in topology.QUEUES
        if queue.consumer == AUDIENCE
    }


def _relay(own: BillingSettings) -> Loop:
    owned = [exchange.name for exchange in topology.EXCHANGES if exchange.owner == AUDIENCE]

    async def run(stop: asyncio.Event) -> None:
        database_url, amqp_url = own.database_url.get_secret_value(), own.amqp_url.get_secret_value()
        await run_relay(database_url, amqp_url, AUDIENCE, owned, stop, FORGOTTEN)

    return run


def _health() -> Health:
    from django.db import close_old_connections

    from billing_api.api.health import check_database
    from billing_api.probes import broker_answers, redis_answers

    def check() -> None:
        close_old_connections()
        check_database()

    async def database() -> None:
        await asyncio.to_thread(check)

    return Health(
        required={"database": database}, others={"rabbitmq": broker_answers, "redis": redis_answers}
    )


async def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    from billing_api.billing_service.clients.user_api import UserApi
    from billing_api.proving import Prover
    from billing_api.sending import Sender
    from shared.service_client import SyncServiceClient

    own, clock = settings(), settings().clock()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "billing"))
    calls = SyncServiceClient(
        "user-api",
        own.user_api_url,
        own.user_api_token.get_secret_value(),
        timeout_seconds=own.user_api_timeout_seconds,
    )
    loops: dict[str, Any] = {
        **_consumers(own, clock),
        "relay": _relay(own),
        "measures": Measures(
            AUDIENCE, own.database_url.get_secret_value(), own.amqp_url.get_secret_value(), MEASURES
        ).run,
        "orders": Sender(UserApi(calls), clock).run,
        "proofs": Prover().run,
    }
    try:
        await run_worker(loops, _health(), own.health_port)
    finally:
        calls.close()


def set_up() -> None:
    """Logs, refusals of production and Django, in this order; before anything touches a model."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_api.config.settings")
    logs.configure("billing-worker", settings().log_level)
    settings().refuse_unsafe()
    tracing.start("billing-worker")
    import django

    django.setup()
    tracing.watch_django()


if __name__ == "__main__":
    set_up()
    asyncio.run(main())
