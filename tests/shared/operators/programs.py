"""Small processes the operators' tests start: slow services, and a consumer that fails or takes its time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from shared import asgi, logs, tracing
from shared.clock import SystemClock
from shared.health import Health
from shared.queue.consumer import Consumer
from shared.queue.messages import users  # noqa: F401 - registers its event types
from shared.queue.messages.base import Envelope
from shared.worker import run_worker

SLOW_SECONDS = 1.5


def mark(name: str) -> None:
    """Tells the test how far we are: touches the file the environment names."""
    Path(os.environ[name]).touch()


def slow_api() -> FastAPI:
    """An ASGI service with the suite's edge and one slow answer."""
    app = FastAPI()

    @app.get("/slow")
    async def slow() -> dict[str, str]:
        mark("BEGUN")
        await asyncio.sleep(SLOW_SECONDS)
        return {"done": "yes"}

    asgi.install(app, Health())
    return app


def slow_wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The same for gunicorn."""
    if environ["PATH_INFO"] == "/slow":
        mark("BEGUN")
        time.sleep(SLOW_SECONDS)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b'{"done": "yes"}']


async def _handle(_: Envelope) -> None:
    if os.environ["MANNER"] == "fail":
        raise LookupError("no such account")
    mark("BEGUN")
    await asyncio.sleep(SLOW_SECONDS)
    mark("ENDED")


async def consume() -> None:
    """A worker process with one consumer of ``billing.users``."""
    logs.configure("billing-worker", "INFO")
    tracing.start("billing-worker")
    consumer = Consumer(
        "billing.users",
        os.environ["AMQP_URL"],
        os.environ["DATABASE_URL"],
        SystemClock(),
        _handle,
        max_attempts=1,
    )
    await run_worker({"billing.users": consumer.run}, Health(), int(os.environ["HEALTH_PORT"]))


if __name__ == "__main__":
    asyncio.run(consume())
