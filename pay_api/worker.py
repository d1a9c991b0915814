"""pay-worker: relays events, charges queued payments, applies waiting notifications, reconciles."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import uvicorn
from fastapi import FastAPI
from prometheus_client import Gauge

from pay_api import repository
from pay_api.health import database_health
from pay_api.pay_service.apply_provider_event import apply_stored_event
from pay_api.pay_service.charge_queued import charge_queued
from pay_api.pay_service.compare_daily import DailyComparison
from pay_api.pay_service.context import Context, open_context
from pay_api.pay_service.expire_payments import expire_payments
from pay_api.pay_service.reconcile import reconcile
from pay_api.settings import Settings
from pay_api.watch import ANY, Watch, wait
from shared import asgi, correlation, logs, tracing
from shared.ids import new_id
from shared.measures import Measure, Measures
from shared.queue.relay import run_relay

CHARGERS: Final = 2  # side by side; each has one call at the provider at a time
_PAUSE_SECONDS: Final = 1.0
_WEBHOOK_BATCH: Final = 50
OPEN: Final = Measure(
    Gauge("payments_open", "Payments that are not over; needs_review waits for people", ["status"]),
    """
    SELECT status, count(*) FROM payment
    WHERE status IN ('created', 'processing', 'action_required', 'authorized', 'unknown', 'needs_review')
    GROUP BY status
    """,
)
GIVEN_UP: Final = Measure(
    Gauge("payment_money_back_given_up", "Without an outcome after a day of questions", ["kind"]),
    """
    SELECT 'refund', count(*) FROM payment_refund WHERE status = 'unknown' AND next_query_at IS NULL
    UNION ALL
    SELECT kind, count(*) FROM payment_operation WHERE status = 'unknown' AND next_query_at IS NULL
    GROUP BY kind
    """,
)

RECEIPTS: Final = Measure(
    Gauge("fiscal_receipts_pending", "Receipts that have not come, by how long at least", ["age"]),
    """
    SELECT CASE WHEN status = 'overdue' THEN '1d'
                WHEN next_look_at - created_at > interval '1 hour' THEN '1h'
                WHEN next_look_at - created_at > interval '5 minutes' THEN '5m'
                ELSE '0' END AS age, count(*)
    FROM payment_receipt WHERE next_look_at IS NOT NULL GROUP BY 1
    """,
)

log = logs.logger(__name__)


async def _repeat(stop: asyncio.Event, name: str, work: Callable[[], Awaitable[bool]], watch: Watch) -> None:
    """Works on until there is nothing to do, then waits for a change or a second. Trouble is waited out."""
    with watch.changes_of(ANY) as changed:
        while not stop.is_set():
            with correlation.correlated(str(new_id())):
                try:
                    busy = await work()
                except Exception as error:
                    log.error("worker-trouble", work=name, exc_info=error)
                    busy = False
            if not busy:
                await wait(changed, _PAUSE_SECONDS)


async def apply_waiting_webhooks(ctx: Context) -> bool:
    """Applies notifications that were stored and could not be applied at once; True when there was one."""
    async with ctx.sessions() as session:
        due = await repository.due_webhooks(session, ctx.clock.now(), _WEBHOOK_BATCH)
    for webhook_id in due:
        try:
            await apply_stored_event(ctx, webhook_id)
        except Exception as error:  # one bad notification must not keep the others waiting
            log.error("webhook-not-applied", webhook_id=str(webhook_id), exc_info=error)
    return False


async def _expire(ctx: Context) -> bool:
    await expire_payments(ctx)
    return False


async def _reconcile(ctx: Context) -> bool:
    await reconcile(ctx)
    return False


def _health_server(settings: Settings, ctx: Context) -> uvicorn.Server:
    app = FastAPI(title="pay-worker", docs_url=None, openapi_url=None)
    asgi.install(app, database_health(ctx.engine))
    config = uvicorn.Config(
        app,
        host="0.0.0.0",  # noqa: S104 - probes come from outside the container
        port=settings.health_port,
        log_config=None,
        access_log=False,
    )
    return uvicorn.Server(config)


async def run(settings: Settings, stop: asyncio.Event, ctx: Context | None = None) -> None:
    """Works until ``stop`` is set, then lets calls in flight end."""
    context = ctx or open_context(settings)
    tracing.watch_engine(context.engine)
    watch = Watch(settings.asyncpg_dsn)
    watching = asyncio.create_task(watch.run())
    server = _health_server(settings, context)
    serving = asyncio.create_task(server._serve())  # not serve(): the signals are ours
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(CHARGERS):
                group.create_task(_repeat(stop, f"charge-{number}", lambda: charge_queued(context), watch))
            group.create_task(_repeat(stop, "webhooks", lambda: apply_waiting_webhooks(context), watch))
            group.create_task(_repeat(stop, "expiry", lambda: _expire(context), watch))
            group.create_task(_repeat(stop, "reconcile", lambda: _reconcile(context), watch))
            daily = DailyComparison()
            group.create_task(_repeat(stop, "compare", lambda: daily.run_if_due(context), watch))
            measures = Measures(
                "pay-api",
                settings.asyncpg_dsn,
                settings.amqp_url.get_secret_value(),
                (OPEN, GIVEN_UP, RECEIPTS),
            )
            group.create_task(measures.run(stop))
            group.create_task(
                run_relay(
                    settings.asyncpg_dsn,
                    settings.amqp_url.get_secret_value(),
                    "pay-api",
                    ["payments"],
                    stop,
                )
            )
    finally:
        server.should_exit = True
        watching.cancel()
        await asyncio.gather(serving, watching, return_exceptions=True)
        await context.aclose()


async def _main() -> None:
    settings = Settings()
    settings.refuse_unsafe()
    logs.configure("pay-worker", settings.log_level)
    tracing.start("pay-worker")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(settings, stop)


if __name__ == "__main__":
    asyncio.run(_main())
