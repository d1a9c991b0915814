"""What every service shares: the edge, cursors, logs, settings, clock and ids."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from shared import clock as clocks
from shared import correlation, logs, pagination
from shared.asgi import install, problem_responses
from shared.errors import AppError, broken_invariant, conflict, unavailable
from shared.health import Health
from shared.ids import derived_id, made_at, new_id
from shared.settings import ConfigurationRefused, SuiteSettings


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=10)]
    secret: str = ""


def _app() -> FastAPI:
    app = FastAPI()

    @app.post("/echo", responses=problem_responses())
    async def echo(body: _Body) -> dict[str, str]:
        return {"name": body.name, "correlation_id": correlation.current()}

    @app.get("/busy")
    async def busy() -> None:
        raise unavailable("catalog-catching-up", "Not yet.", 3)

    @app.get("/conflict")
    async def clash() -> None:
        raise conflict("payment-in-progress", "There is one.", payment_id="p1")

    @app.get("/broken")
    async def broken() -> None:
        raise broken_invariant("ledger-unbalanced", "account 42 is off by 1")

    @app.get("/crash")
    async def crash() -> None:
        raise ZeroDivisionError("secret internals")

    async def well() -> None:
        return None

    async def ill() -> None:
        raise ConnectionError("no broker")

    install(app, Health({"database": well}, {"broker": ill}))
    return app


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


def _is_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == f"/problems/{code}"
    assert body["status"] == status
    assert body["title"]
    assert answer.headers["x-correlation-id"] == body["correlation_id"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_every_failure_is_a_problem(http: httpx.AsyncClient) -> None:
    _is_problem(await http.get("/nowhere"), 404, "not-found")
    _is_problem(await http.get("/echo"), 405, "method-not-allowed")
    _is_problem(await http.post("/echo", content=b"{nope"), 422, "invalid-request")
    json_type = {"content-type": "application/json"}
    _is_problem(await http.post("/echo", content=b"{nope", headers=json_type), 400, "malformed-request")
    _is_problem(await http.post("/echo", json={"name": "x", "role": "admin"}), 422, "invalid-request")
    _is_problem(await http.post("/echo", json={"name": "x" * 70_000}), 413, "body-too-large")
    endless_length = {"Content-Length": "9" * 5_000}
    _is_problem(await http.post("/echo", content=b"{}", headers=endless_length), 413, "body-too-large")
    _is_problem(await http.post("/echo", content=b"[" * 40, headers=json_type), 400, "malformed-request")
    _is_problem(await http.get("/crash"), 500, "internal-error")
    busy = await http.get("/busy")
    _is_problem(busy, 503, "catalog-catching-up")
    assert busy.headers["retry-after"] == "3"
    clash = await http.get("/conflict")
    _is_problem(clash, 409, "payment-in-progress")
    assert clash.json()["payment_id"] == "p1"


async def test_inner_words_stay_inside(http: httpx.AsyncClient) -> None:
    for path in ("/crash", "/broken"):
        text = (await http.get(path)).text
        assert "internals" not in text
        assert "42" not in json.loads(text).get("detail", "")
    refused = await http.post("/echo", json={"name": 5, "secret": "hunter2-canary"})
    assert "canary" not in refused.text


async def test_body_without_a_length_is_limited_too(http: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    _is_problem(await http.post("/echo", content=endless()), 413, "body-too-large")


async def test_correlation_id_is_taken_over_when_well_formed(http: httpx.AsyncClient) -> None:
    given = await http.post("/echo", json={"name": "a"}, headers={"X-Correlation-ID": "abc-1"})
    assert given.json()["correlation_id"] == given.headers["x-correlation-id"] == "abc-1"
    forged = await http.post("/echo", json={"name": "a"}, headers={"X-Correlation-ID": 'a" b'})
    assert UUID(forged.headers["x-correlation-id"]).version == 7


async def test_health_tells_required_from_degraded(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).status_code == 200
    ready = await http.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["checks"] == {"database": "ok", "broker": "degraded"}
    assert "http_requests_total" in (await http.get("/metrics")).text


def test_cursor_comes_back_or_is_refused() -> None:
    key = ["2026-01-01T00:00:00Z", 7]
    cursor = pagination.encode_cursor(key)
    assert pagination.decode_cursor(cursor, str, int) == key
    for bad in ("", "***", cursor[:-2], pagination.encode_cursor([1, 2]), pagination.encode_cursor(["a"])):
        with pytest.raises(AppError, match="cursor-invalid"):
            pagination.decode_cursor(bad, str, int)
    rows, following = pagination.page([1, 2, 3], 2, lambda row: [row])
    assert rows == [1, 2]
    assert following == pagination.encode_cursor([2])
    assert pagination.page([1, 2], 2, lambda row: [row]) == ([1, 2], None)


def test_logs_hold_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    previous = logging.root.handlers[:], logging.root.level
    try:
        logs.configure("test-service")
        token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
        logs.logger("t").info(
            "checked", password="p4ss", note=f"Bearer {token} for a.b@example.org card 4111 1111 1111 1111"
        )
        logging.getLogger("library").warning("url /x?token=abcdef&y=1 %s", token)
    finally:
        logging.root.handlers[:], logging.root.level = previous[0], previous[1]
    out = capsys.readouterr().out
    for secret in ("p4ss", token, "a.b@example.org", "4111", "abcdef"):
        assert secret not in out
    line = json.loads(out.splitlines()[0])
    assert line["service"] == "test-service"
    assert line["event"] == "checked"
    assert line["correlation_id"]


class _Settings(SuiteSettings):
    api_secret: SecretStr = SecretStr("dev-secret")


def test_production_refuses_defaults_and_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AMQP_URL", "API_SECRET", "ACCEPTED_CREDENTIALS", "CLOCK_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("APP_ENV", "production")
    monkeypatch.setenv("AMQP_URL", "amqp://user:Zr8fJ2kWq5@rabbitmq/")
    with pytest.raises(ConfigurationRefused, match="API_SECRET") as refused:
        _Settings().refuse_unsafe()
    assert "dev-secret" not in str(refused.value)
    monkeypatch.setenv("API_SECRET", "Qm7vX1sLw0Tb")
    _Settings().refuse_unsafe()
    monkeypatch.setenv("CLOCK_REDIS_URL", "redis://x")
    with pytest.raises(ConfigurationRefused, match="CLOCK_REDIS_URL"):
        _Settings().refuse_unsafe()


def test_secret_can_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from-file\n")
    monkeypatch.setenv("API_SECRET_FILE", str(tmp_path / "secret"))
    assert _Settings().api_secret.get_secret_value() == "from-file"


def test_suite_clock_moves_every_follower_and_only_forward(new_redis_url: Callable[[], str]) -> None:
    url = new_redis_url()
    followers = [clocks.SuiteClock(url), clocks.SuiteClock(url)]
    before = max(follower.now() for follower in followers)
    assert abs(before - datetime.now(UTC)) < timedelta(seconds=2)
    clocks.advance_suite_clock(url, timedelta(days=31))
    deadline = time.monotonic() + 20
    late = followers
    while late and time.monotonic() < deadline:
        late = [f for f in followers if f.now() - before < timedelta(days=31) - timedelta(seconds=1)]
        time.sleep(0.05)
    assert not late
    with pytest.raises(ValueError, match="forward"):
        clocks.advance_suite_clock(url, timedelta(days=-1))


def test_ids_are_ordered_and_unique_across_threads() -> None:
    made: list[UUID] = []
    threads = [threading.Thread(target=lambda: made.extend(new_id() for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 2000
    assert {identity.version for identity in made} == {7}
    early = new_id()
    time.sleep(0.002)
    assert early < new_id()
    assert abs(datetime.now(UTC) - made_at(early)) < timedelta(seconds=5)
    assert made_at(derived_id(early, "pay")) == datetime(1970, 1, 1, tzinfo=UTC)
    assert derived_id(early, "pay") == derived_id(early, "pay") != derived_id(early, "start")


_FORKED = """
import os, sys
from datetime import timedelta
from shared import clock
from shared.ids import new_id
url = sys.argv[1]
suite = clock.SuiteClock(url)
before = suite.now()
new_id()
child = os.fork()
clock.advance_suite_clock(url, timedelta(days=1)) if child else None
ids = " ".join(str(new_id())[-12:] for _ in range(300))
import time
deadline = time.monotonic() + 20
while suite.now() - before < timedelta(hours=23) and time.monotonic() < deadline:
    time.sleep(0.05)
sys.stdout.write(f"{suite.now() - before > timedelta(hours=23)} {ids}\\n")
sys.stdout.flush()
if child:
    os.waitpid(child, 0)
os._exit(0)
"""


def test_a_forked_worker_draws_other_ids_and_follows_the_clock_by_itself(
    new_redis_url: Callable[[], str],
) -> None:
    """gunicorn forks its workers from a process that may have drawn ids and read the clock."""
    command = [sys.executable, "-c", _FORKED, new_redis_url()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    parent, child = (line.split() for line in done.stdout.splitlines())
    assert parent[0] == child[0] == "True"
    assert len(set(parent[1:]) | set(child[1:])) == 600
