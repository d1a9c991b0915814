"""The user-worker as a process: events reach their queues, it tells its health, it stops when told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import aio_pika
import httpx
import pytest

from shared.clock import ManualClock
from shared.queue.broker import connected, declare_topology
from tests.servers import Broker, DatabaseUrls, free_port
from tests.user_api.accounts.conftest import Register
from user_api.user_service.purge_expired import purge_expired

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def worker(
    new_broker: Callable[[], Broker], database: DatabaseUrls, empty_redis: str, jwt_keys_dir: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, int]]:
    """(process, AMQP address, health port) of a worker on a declared vhost of its own."""
    amqp_url, port = new_broker().amqp_url, free_port()
    async with connected(amqp_url, "test") as connection:
        await declare_topology(connection)
    environment = os.environ | {
        "APP_ENV": "test",
        "LOG_LEVEL": "INFO",
        "DATABASE_URL": database.service,
        "CACHE_REDIS_URL": empty_redis,
        "SESSION_REDIS_URL": empty_redis,
        "CLOCK_REDIS_URL": empty_redis,
        "JWT_KEYS_DIR": str(jwt_keys_dir),
        "AMQP_URL": amqp_url,
        "HEALTH_PORT": str(port),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "user_api.worker", cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    yield process, amqp_url, port
    if process.returncode is None:
        process.kill()
        await process.communicate()


async def receive(amqp_url: str, queue_name: str, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with connected(amqp_url, "test") as connection:
        queue = await (await connection.channel()).get_queue(queue_name)
        async with asyncio.timeout(20):
            while len(found) < count:
                message = await queue.get(fail=False)
                if message is None:
                    await asyncio.sleep(0.05)
                    continue
                assert isinstance(message, aio_pika.abc.AbstractIncomingMessage)
                found.append(json.loads(message.body))
                await message.ack()
    return found


async def test_worker_relays_events_and_stops_when_told(
    worker: tuple[asyncio.subprocess.Process, str, int], register: Register, rows: Callable[..., Any]
) -> None:
    process, amqp_url, port = worker
    anna = await register("anna@example.com", full_name="Анна Петрова")
    assert (await anna.client.delete("/v1/auth/sessions", headers=anna.headers)).status_code == 204
    told = await receive(amqp_url, "billing.users", 2)
    assert [event["type"] for event in told] == ["user.registered", "user.sessions_revoked"]
    assert [event["aggregatesequence"] for event in told] == [1, 2]
    assert told[0]["subject"] == f"user/{anna.id}"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as health:
        ready = await health.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["broker"]) == (200, "ok")
        assert "outbox_pending" in (await health.get("/metrics")).text
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        output, _ = await process.communicate()
    assert process.returncode == 0
    lines = [json.loads(line) for line in output.decode().splitlines()]
    assert {line["event"] for line in lines} >= {"worker-started", "worker-stopped"}
    assert "anna@example.com" not in output.decode()
    assert await rows("SELECT 1 FROM outbox WHERE published_at IS NULL") == []


async def test_purge_keeps_what_still_counts(
    app: Any, register: Register, clock: ManualClock, rows: Callable[..., Any], as_service: Any
) -> None:
    anna = await register()
    await anna.client.post("/v1/auth/logout", json={"refresh_token": anna.refresh_token})
    await anna.log_in()
    headers = as_service("admin-panel") | {"Idempotency-Key": "k"}
    path = f"/internal/v1/users/{anna.id}/end-sessions"
    assert (await anna.client.post(path, headers=headers, json={"reason": "x"})).status_code == 200
    tables = ("idempotency_key", "revoked_sessions", "login_throttle")

    async def counts() -> list[int]:
        return [(await rows(f"SELECT count(*) AS n FROM {table}"))[0]["n"] for table in tables]

    before = await counts()
    assert all(before)
    sessions = app.state.resources.sessions
    await purge_expired(sessions, clock.now() + timedelta(days=6))
    assert await counts() == before
    await purge_expired(sessions, clock.now() + timedelta(days=31))
    assert (await counts())[:2] == [0, 0]
    await purge_expired(sessions, clock.now() + timedelta(days=91))
    assert await counts() == [0, 0, 0]
