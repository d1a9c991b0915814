"""SIGTERM: a task that has begun is finished and acknowledged; the beat ends at once and frees its lock."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from shared.queue import broker
from tests.scheduler.conftest import RUN, Billing
from tests.scheduler.test_processes import COMMANDS, ROOT, until
from tests.servers import Broker, free_port

SHARD = f"/internal/v1/billing-runs/{RUN}/shards/0"


@contextmanager
def running(name: str, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the scheduler, killed when it has not ended by itself."""
    program, *rest = COMMANDS[name]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name(program), *rest],
            cwd=ROOT,
            env=environment | {"HEALTH_PORT": str(free_port())},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def environment(billing: Billing, new_broker: Callable[[], Broker], redis_url: str) -> dict[str, str]:
    return os.environ | {
        "APP_ENV": "test",
        "CELERY_BROKER_URL": new_broker().amqp_url,
        "REDBEAT_REDIS_URL": redis_url,
        "BILLING_API_URL": billing.url,
        "BILLING_API_TOKEN": "the-schedulers-token",
        "BEAT_TICK_SECONDS": "1",
    }


@pytest.mark.timeout(120)
def test_a_task_in_flight_is_finished_and_acknowledged(
    billing: Billing, environment: dict[str, str], tmp_path: Path
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    answer = billing.answers[("POST", SHARD)]

    class Slow(dict):  # type: ignore[type-arg]
        def get(self, key: tuple[str, str], default: object = None) -> object:
            if key[1] == SHARD:
                begun.set()
                assert go_on.wait(60)
                return answer
            return super().get(key, default)

    billing.answers = Slow(billing.answers)
    send = f"from scheduler.tasks import run_billing_shard as task; task.delay('{RUN}', 0)"
    subprocess.run([sys.executable, "-c", send], cwd=ROOT, env=environment, check=True, timeout=30)
    log = tmp_path / "worker.log"
    with running("scheduler-worker", environment, log) as process:
        until(begun.is_set, 45, "the task never began")
        process.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert process.poll() is None, "it left its task behind"
        go_on.set()
        assert process.wait(30) == 0, log.read_text()
    assert '"event": "task-done"' in log.read_text().replace('":"', '": "')
    assert billing.paths.count(SHARD) == 1

    async def waiting() -> list[object]:
        async with broker.connected(environment["CELERY_BROKER_URL"], "test") as connection:
            return [message async for message in broker.take(connection, "scheduler", 5)]

    assert asyncio.run(waiting()) == []  # acknowledged: no other worker does it again


@pytest.mark.timeout(120)
def test_a_beat_that_is_stopped_frees_its_lock(
    billing: Billing, environment: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    log, locks = tmp_path / "beat.log", redis.Redis.from_url(redis_url)
    with running("scheduler-beat", environment, log) as process:
        until(lambda: bool(locks.exists("redbeat::lock")), 45, "it never took the lock")
        began_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text()
        assert time.monotonic() - began_at < 10
    assert not locks.exists("redbeat::lock"), "a standby would wait for it to run out"
