"""The user-worker process: relays the Users database's outbox, consumes UserAPI's queues, tidies up."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from shared import logs, tracing
from shared.health import Health
from shared.measures import Measures
from shared.queue import broker
from shared.queue.consumer import Consumer
from shared.queue.relay import run_relay
from shared.settings import AppEnv
from shared.worker import Loop, run_worker
from user_api.consumers import EventHandlers
from user_api.development_mail import print_letters
from user_api.readiness import make_health
from user_api.resources import Resources, open_resources
from user_api.settings import Settings
from user_api.user_service.database import DATABASE_AWAY
from user_api.user_service.erase_user import finish_erasure, list_unfinished
from user_api.user_service.finish_endings import finish_endings
from user_api.user_service.purge_expired import purge_expired

PURGE_EVERY_SECONDS: Final = 3600
ENDINGS_EVERY_SECONDS: Final = 5
ERASURES_EVERY_SECONDS: Final = 2
ERASURES_AT_ONCE: Final = 20

log = logs.logger(__name__)


async def tidy_up(resources: Resources, stop: asyncio.Event) -> None:
    """Purges now and then until ``stop``."""
    while not stop.is_set():
        await purge_expired(resources.sessions, resources.clock.now())
        await _pause(stop, PURGE_EVERY_SECONDS)


async def finish(resources: Resources, stop: asyncio.Event) -> None:
    """Finishes every few seconds, until ``stop``, what users have ended and others were not told."""
    while not stop.is_set():
        await finish_endings(resources.commerce)
        await _pause(stop, ENDINGS_EVERY_SECONDS)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


async def finish_erasures(resources: Resources, stop: asyncio.Event) -> None:
    """Takes up erasures whose process was killed, or whose other places were away, until ``stop``."""
    while not stop.is_set():
        try:
            for user_id in await list_unfinished(resources.commerce, ERASURES_AT_ONCE):
                await finish_erasure(resources.commerce, resources.session_store, user_id)
        except DATABASE_AWAY as error:
            log.warning("erasures-wait", error=type(error).__name__)
        await _pause(stop, ERASURES_EVERY_SECONDS)


def make_loops(resources: Resources) -> dict[str, Loop]:
    """Everything the worker does, by name."""
    database_url = resources.settings.database_url.get_secret_value()
    amqp_url = resources.settings.amqp_url.get_secret_value()
    handlers = EventHandlers(resources.sessions, resources.clock, resources.rights).by_queue()
    loops: dict[str, Loop] = {
        queue: Consumer(queue, amqp_url, database_url, resources.clock, handle).run
        for queue, handle in handlers.items()
    }
    loops["relay"] = partial(run_relay, database_url, amqp_url, "user-api", ["users"])
    loops["measures"] = Measures("user-api", database_url, amqp_url).run
    loops["tidy-up"] = partial(tidy_up, resources)
    loops["endings"] = partial(finish, resources)
    loops["erasures"] = partial(finish_erasures, resources)
    if resources.settings.app_env is AppEnv.DEVELOPMENT:
        loops["development-mail"] = partial(print_letters, resources)
    return loops


def make_worker_health(resources: Resources) -> Health:
    """What the API needs, and the broker, whose absence only degrades: events wait in the outbox."""

    async def reach_broker() -> None:
        async with broker.connected(resources.settings.amqp_url.get_secret_value(), "user-worker-probe"):
            return

    health = make_health(resources)
    return Health(required=health.required, others={**health.others, "broker": reach_broker})


async def main() -> None:
    settings = Settings(service_name="user-worker")
    settings.refuse_unsafe()
    logs.configure(settings.service_name, settings.log_level)
    tracing.start(settings.service_name)
    resources = open_resources(settings)
    tracing.watch_engine(resources.engine)
    try:
        await run_worker(make_loops(resources), make_worker_health(resources), settings.health_port)
    finally:
        await resources.close()


if __name__ == "__main__":
    asyncio.run(main())
