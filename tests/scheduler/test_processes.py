"""The two processes as they are run: healthy on HEALTH_PORT, the beat's tick reaching BillingAPI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.processes import PROCESSES
from tests.scheduler.conftest import RUN, Billing
from tests.servers import Broker, free_port

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {process.name: process.argv for process in PROCESSES if process.group == "scheduler"}


def read(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def until(check: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.mark.timeout(120)
def test_beat_and_worker_ask_billing_every_tick(
    billing: Billing, new_broker: Callable[[], Broker], redis_url: str, tmp_path: Path
) -> None:
    ports = {"scheduler-beat": free_port(), "scheduler-worker": free_port()}
    environment = os.environ | {
        "APP_ENV": "test",
        "CELERY_BROKER_URL": new_broker().amqp_url,
        "REDBEAT_REDIS_URL": redis_url,
        "BILLING_API_URL": billing.url,
        "BILLING_API_TOKEN": "the-schedulers-token",
        "BEAT_TICK_SECONDS": "1",
    }
    running = []
    for name, argv in COMMANDS.items():
        program = Path(sys.executable).with_name(argv[0])
        with (tmp_path / f"{name}.log").open("wb") as log:
            running.append(
                subprocess.Popen(
                    [program, *argv[1:]],
                    cwd=ROOT,
                    env=environment | {"HEALTH_PORT": str(ports[name])},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    try:
        shards = {f"/internal/v1/billing-runs/{RUN}/shards/{n}" for n in range(2)}
        runs = [f"/internal/v1/{run}" for run in ("billing-runs", "collection-runs", "maintenance-runs")]
        until(lambda: all(billing.paths.count(run) >= 2 for run in runs), 60, str(billing.paths))
        until(lambda: shards <= set(billing.paths), 20, str(billing.paths))
        for name, port in ports.items():
            assert read(port, "/healthz")[0] == 200
            status, body = read(port, "/readyz")
            assert (status, json.loads(body)["checks"]["broker"]) == (200, "ok"), (name, body)
        assert (
            b'scheduler_tasks_total{outcome="done",task="run_collection"}'
            in read(ports["scheduler-worker"], "/metrics")[1]
        )
        for line in (tmp_path / "scheduler-worker.log").read_text().splitlines():
            if line.startswith("{"):
                assert json.loads(line)["service"] == "scheduler"
    finally:
        for process in running:
            process.terminate()
        for process in running:
            assert process.wait(30) in (0, -15)
