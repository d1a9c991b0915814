"""One story through real processes: its trace, its correlation id, and nothing secret in what they tell."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from shared import keys
from tests import servers
from tests.servers import Broker, DatabaseUrls
from tests.shared.operators.running import Collector, answers, running, until

MIGRATE = ["alembic", "-c", "user_api/alembic.ini", "upgrade", "head"]
CORRELATION = "browser-7f3a.1"
CANARIES = {
    "password": "canary-pässword-1f9",
    "wrong password": "canary-wrong-2e8",
    "e-mail": "canary.mail.3d7@cinema-canary.ru",
    "phone": "+79160004455",
    "name": "Канарейка Желтопёрая",
    "cryptogram": "CANARY014111111111260101cryptogram5b5",
    "cardholder": "CANARYNA VOLYERNAYA",
    "link token": "canary-link-token-7a3",
    "service token": "canary-service-token-8f2",
    "token of a call": "canary-call-token-9d1",
    "password of the broker": "",  # filled in below, like the next ones
    "password of the databases": servers.PASSWORD,
    "access token": "",
    "refresh token": "",
}


@dataclass
class Story:
    """What the processes left behind."""

    collector: Collector
    logs: dict[str, str]
    dead_letters: list[dict[str, object]]
    canaries: dict[str, str]
    statuses: list[int]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, new_broker: Callable[[], Broker]) -> Story:
    folder = tmp_path_factory.mktemp("story")
    database: DatabaseUrls = servers.create_database("users", migrate=MIGRATE)
    redis_url, amqp_url = servers.redis_database(), new_broker().amqp_url
    keys.create(folder / "keys")
    ports = [servers.free_port() for _ in range(3)]
    collector = Collector()
    common = {
        "AMQP_URL": amqp_url,
        "DATABASE_URL": database.service,
        "CACHE_REDIS_URL": redis_url,
        "SESSION_REDIS_URL": redis_url,
        "JWT_KEYS_DIR": str(folder / "keys"),
        "PAY_API_URL": "http://127.0.0.1:9",
        "BILLING_API_URL": "http://127.0.0.1:9",
        "BILLING_API_TOKEN": CANARIES["token of a call"],
        "ACCEPTED_CREDENTIALS": json.dumps({"operator": [CANARIES["service token"]]}),
        "LOG_LEVEL": "DEBUG",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    _queue(amqp_url, "declare")
    uvicorn = ["uvicorn", "--factory", "user_api.main:create_app", "--port", str(ports[0])]
    relay = ["python", "-m", "user_api.worker"]
    consumer = ["python", "-m", "tests.shared.operators.programs"]
    logs = {name: folder / name for name in ("user-api", "user-worker", "billing-worker")}
    parked: list[dict[str, object]] = []
    with (
        running([*uvicorn, "--no-access-log"], common, logs["user-api"]),
        running(relay, common | {"HEALTH_PORT": str(ports[1])}, logs["user-worker"]),
        running(consumer, common | {"HEALTH_PORT": str(ports[2]), "MANNER": "fail"}, logs["billing-worker"]),
    ):
        until(answers(f"http://127.0.0.1:{ports[0]}/readyz"), "user-api is ready")
        canaries, statuses = _live(f"http://127.0.0.1:{ports[0]}")

        def look() -> bool:
            parked[:] = _queue(amqp_url, "dead-letters", "list", "--queue", "billing.users")
            return bool(parked)

        until(look, "the event is parked")
    collector.close()
    texts = {name: path.read_text() for name, path in logs.items()}
    canaries["password of the broker"] = amqp_url.split("@")[0].split(":")[-1]
    return Story(collector, texts, parked, canaries, statuses)


def _queue(amqp_url: str, *arguments: str) -> list[dict[str, object]]:
    environment = {"AMQP_URL": amqp_url, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    done = subprocess.run(
        [sys.executable, "-m", "shared.queue", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _live(url: str) -> tuple[dict[str, str], list[int]]:
    """Registers, mistypes, refreshes, tries to buy while the others are away, follows a signed link."""
    canaries = dict(CANARIES)
    statuses = []
    with httpx.Client(
        base_url=url, timeout=30, trust_env=False, headers={"X-Correlation-ID": CORRELATION}
    ) as http:

        def call(method: str, path: str, **given: object) -> httpx.Response:
            answer = http.request(method, path, **given)  # type: ignore[arg-type]
            statuses.append(answer.status_code)
            return answer

        login = {"email": canaries["e-mail"], "password": canaries["password"]}
        person = {"full_name": canaries["name"], "phone": canaries["phone"]}
        first = call("POST", "/v1/auth/register", json=login | person).json()
        canaries["access token"], canaries["refresh token"] = first["access_token"], first["refresh_token"]
        call("POST", "/v1/auth/login", json=login | {"password": canaries["wrong password"]})
        call("POST", "/v1/auth/login", json=login | {"password": {"nested": canaries["wrong password"]}})
        call("POST", "/v1/auth/refresh", json={"refresh_token": canaries["refresh token"]})
        bearer = {"Authorization": f"Bearer {canaries['access token']}", "Idempotency-Key": "k-1"}
        card = {"card_cryptogram": canaries["cryptogram"], "cardholder_name": canaries["cardholder"]}
        buy = {"product_id": "01a20780-cd89-7a98-8b0b-533c4d5450ba"}
        payment = {"kind": "card_cryptogram", "save_method": True, **card}
        call("POST", "/v1/me/subscriptions", headers=bearer, json=buy | {"payment": payment})
        call("POST", "/v1/me/payment-methods", headers=bearer | {"Idempotency-Key": "k-2"}, json=card)
        call(
            "PATCH", "/v1/me", headers=bearer, json={"full_name": canaries["name"], "role": canaries["phone"]}
        )
        call("GET", "/v1/me", headers=bearer, params={"token": canaries["link token"]})
        operator = {"Authorization": f"Bearer {canaries['service token']}"}
        call("GET", "/internal/v1/quiescence", headers=operator)
    return canaries, statuses


def test_one_trace_spans_request_outbox_and_consumer(story: Story) -> None:
    by_id = {span.span_id: (service, span) for service, span in story.collector.spans()}
    handled = [item for item in by_id.values() if item[1].name == "process user.registered"]
    assert len(handled) == 1
    service, span = handled[0]
    assert service == "billing-worker"
    assert span.status.code == 2  # it failed there, and the trace says so
    path = [span.name]
    while span.parent_span_id:
        service, span = by_id[span.parent_span_id]
        path.append(span.name)
    assert path == ["process user.registered", "create user.registered", "POST /v1/auth/register"]
    assert service == "user-api"
    names = {other.name for _, other in by_id.values() if other.trace_id == span.trace_id}
    assert "INSERT" in names  # statements stand in the trace
    assert not any("healthz" in other.name or "readyz" in other.name for _, other in by_id.values())
    line = _line_of(story.logs["user-api"], "/v1/auth/register")
    assert line["trace_id"] == span.trace_id.hex()
    assert line["correlation_id"] == CORRELATION


def test_one_correlation_id_from_the_browser_to_the_dead_letter(story: Story) -> None:
    (letter,) = story.dead_letters
    assert (letter["type"], letter["correlation_id"]) == ("user.registered", CORRELATION)
    assert "no such account" in str(letter["reason"])
    failed = [line for line in _lines(story.logs["billing-worker"]) if line.get("event") == "event-failed"]
    assert {line["correlation_id"] for line in failed} == {CORRELATION}
    attributes = {
        item.value.string_value
        for _, span in story.collector.spans()
        for item in span.attributes
        if item.key == "cinema.correlation_id" and span.name == "process user.registered"
    }
    assert attributes == {CORRELATION}


def test_no_canary_is_in_logs_traces_or_dead_letters(story: Story) -> None:
    assert story.statuses[:4] == [201, 401, 422, 200]
    assert len(story.statuses) == 9
    assert len(story.canaries) == 14
    assert all(story.canaries.values())
    spoken = {**story.logs, "dead letters": json.dumps(story.dead_letters, ensure_ascii=False)}
    spoken["traces"] = b"".join(story.collector.bodies).decode("utf-8", "replace")
    hits = [
        (canary, place)
        for canary, value in story.canaries.items()
        for place, text in spoken.items()
        if value in text or json.dumps(value)[1:-1] in text
    ]
    assert hits == []
    assert len(story.logs["user-api"]) > 1000  # there was something to look through


def _lines(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def _line_of(text: str, route: str) -> dict[str, str]:
    return next(line for line in _lines(text) if line.get("route") == route)
