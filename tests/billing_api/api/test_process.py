"""billing-api as it is run: gunicorn, its settings from the environment, keys fetched over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.processes import PROCESSES
from shared.clock import ManualClock
from tests.billing_api.api.conftest import KEY, Callers
from tests.servers import DatabaseUrls, free_port

ROOT = Path(__file__).resolve().parents[3]
(COMMAND,) = (process for process in PROCESSES if process.name == "billing-api")
CREDENTIAL = "operator-calls-billing-api"


@pytest.fixture(scope="module")
def jwks_url() -> Iterator[str]:
    """UserAPI's published keys."""

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"keys": [KEY.as_jwk()]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/.well-known/jwks.json"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def environment(billing_database: DatabaseUrls, jwks_url: str, amqp_url: str) -> dict[str, str]:
    return os.environ | {
        "APP_ENV": "test",
        "DATABASE_URL": billing_database.service,
        "JWKS_URL": jwks_url,
        "AMQP_URL": amqp_url,
        "ACCEPTED_CREDENTIALS": json.dumps({"operator": [CREDENTIAL]}),
    }


@pytest.fixture(scope="module")
def server(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, subprocess.Popen[bytes], Path]]:
    port = free_port()
    program, *arguments = COMMAND.command(port)
    log = tmp_path_factory.mktemp("billing-api") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name(program), *arguments],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx.get(f"{url}/healthz", timeout=2)
            break
        except httpx.HTTPError:
            assert time.monotonic() < deadline, log.read_text()
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
    yield url, process, log
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0, log.read_text()  # it ends by itself, nothing is cut off


def test_ready_with_every_dependency(server: Any) -> None:
    answer = httpx.get(f"{server[0]}/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert set(answer.json()["checks"].values()) == {"ok"}


def test_an_access_token_is_verified_with_fetched_keys(server: Any) -> None:
    token = Callers(ManualClock(datetime.now(UTC))).token()
    answer = httpx.get(f"{server[0]}/v1/me/account", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["balance"]["amount"]) == (200, 0)


def test_a_credential_from_the_environment(server: Any) -> None:
    answer = httpx.get(
        f"{server[0]}/internal/v1/quiescence", headers={"Authorization": f"Bearer {CREDENTIAL}"}
    )
    assert (answer.status_code, answer.json()["quiet"]) == (200, True)


def test_the_scheduler_is_understood(server: Any) -> None:
    from scheduler.billing_client import BillingClient
    from scheduler.settings import SchedulerSettings
    from shared.ids import new_id

    client = BillingClient(SchedulerSettings(billing_api_url=server[0], billing_api_token=CREDENTIAL))
    assert client.start_billing_run(str(new_id())) == (None, 0)
    assert client.run_collection(str(new_id())) == {"attempts": 0}
    assert client.run_maintenance(str(new_id()))["is_complete"] is True
    report = client.invariants()
    assert [item["name"] for item in report["items"] if not item["holds"]] == []


def test_a_large_body_is_refused_before_it_is_sent(server: Any) -> None:
    connection = http.client.HTTPConnection(server[0].removeprefix("http://"), timeout=5)
    connection.putrequest("POST", "/internal/v1/quotes")
    connection.putheader("Content-Length", str(10**9))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["type"]) == (413, "/problems/body-too-large")
    connection.close()


def test_a_body_without_a_length_is_refused(server: Any) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"a": '
        yield b"1}"

    answer = httpx.post(f"{server[0]}/internal/v1/quotes", content=pieces())
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed-request")


def test_log_lines_are_json_without_paths_or_queries(server: Any) -> None:
    httpx.get(f"{server[0]}/v1/me/invoices?cursor=secret-part")
    deadline = time.monotonic() + 20
    while '"route": "/v1/me/invoices"' not in (text := server[2].read_text()):
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
    assert "secret-part" not in text


def run(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_production_refuses_development_secrets(environment: dict[str, str]) -> None:
    unsafe = environment | {"APP_ENV": "production"}
    unsafe.pop("CLOCK_REDIS_URL", None)
    done = run(["-c", "import billing_api.config.wsgi"], unsafe)
    assert done.returncode == 3  # gunicorn stops on it, instead of trying again
    assert "refusing to start: USER_API_TOKEN: a development default" in done.stderr


def test_migrate_needs_the_owner(environment: dict[str, str]) -> None:
    environment = {k: v for k, v in environment.items() if not k.startswith("MIGRATION_DATABASE_URL")}
    done = run(["-m", "billing_api.manage", "migrate"], environment)
    assert done.returncode == 1
    assert "MIGRATION_DATABASE_URL" in done.stderr


def test_migrate_means_our_database(environment: dict[str, str], billing_database: DatabaseUrls) -> None:
    owner = environment | {"MIGRATION_DATABASE_URL": billing_database.owner}
    done = run(["-m", "billing_api.manage", "migrate"], owner)
    assert done.returncode == 0, done.stderr
    assert "No migrations to apply" in done.stdout
    done = run(["-m", "billing_api.manage", "makemigrations", "--check", "--dry-run"], environment)
    assert done.returncode == 0, done.stdout + done.stderr
