"""billing-worker as it is run: events take effect once, its own are published, orders go out, it stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.ids import new_id
from shared.money import Money
from shared.queue import broker as bus
from shared.queue.messages.catalog import LocalizedText, PriceState, ProductState
from shared.queue.messages.users import UserState
from shared.queue.outbox import build_envelope
from tests.billing_api.api import rows
from tests.servers import Broker, DatabaseUrls, free_port

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime.now(UTC)


class UserApi(ThreadingHTTPServer):
    """UserAPI's side: keeps (path, key, body)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.append((self.path, self.headers["Idempotency-Key"], body))
                answer = b'{"payment": {}}'
                self.send_response(202)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                return

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def user_api() -> Iterator[UserApi]:
    server = UserApi()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
async def worker(
    billing: DatabaseUrls, new_broker: Callable[[], Broker], user_api: UserApi, tmp_path: Path
) -> AsyncIterator[tuple[str, str]]:
    """(AMQP URL, health URL) of a running worker on a broker with the whole topology."""
    broker = new_broker()
    async with bus.connected(broker.amqp_url, "test") as connection:
        await bus.declare_topology(connection)
    port = free_port()
    environment = os.environ | {
        "APP_ENV": "test",
        "DATABASE_URL": billing.service,
        "AMQP_URL": broker.amqp_url,
        "USER_API_URL": f"http://127.0.0.1:{user_api.server_port}",
        "HEALTH_PORT": str(port),
    }
    log = tmp_path / "worker.log"
    process = start(environment, log)
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{url}/healthz"), log.read_text)
        yield broker.amqp_url, url
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    assert "loop-failed" not in log.read_text()


def start(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "billing_api.worker"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def fetch(url: str) -> httpx.Response:
    return httpx.get(url, timeout=5)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def until(check: Callable[[], bool], words: Callable[[], str] = str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, words()
        time.sleep(0.05)


async def publish(amqp_url: str, exchange: str, event_type: str, identity: Any, state: Any, n: int) -> None:
    envelope = build_envelope("test", event_type, identity, n, state, NOW)
    body = json.dumps(envelope.to_json()).encode()
    async with bus.connected(amqp_url, "test") as connection:
        publisher = await bus.Publisher.open(connection)
        for _ in range(2):  # at least once means: maybe twice
            await publisher.publish(exchange, event_type, body, message_id=str(envelope.id))


async def test_events_come_in_and_orders_and_events_go_out(
    worker: tuple[str, str], user_api: UserApi, billing: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    from billing_api.billing_service.commands.start_subscription import start_subscription
    from billing_api.billing_service.database import cursor
    from billing_api.billing_service.models import OutgoingOrder, Product, TokenState
    from billing_api.billing_service.offers import CustomerSnapshot

    amqp_url, url = worker
    ready = fetch(f"{url}/readyz")
    assert (ready.status_code, ready.json()["checks"]["database"]) == (200, "ok")

    text = LocalizedText(ru="Кино", en="Film")
    product = ProductState(
        product_id=new_id(),
        slug="film",
        kind="one_time",
        group="films",
        title=text,
        description=text,
        grants=["movie:1"],
        prices=[PriceState(price_id=new_id(), amount=Money(29900), is_default=True)],
        status="published",
        updated_at=NOW,
    )
    user = UserState(
        user_id=new_id(),
        status="active",
        locale="ru",
        time_zone="Europe/Moscow",
        token_epoch=3,
        revoked_families=[new_id()],
        created_at=NOW,
        updated_at=NOW,
    )
    await publish(amqp_url, "catalog", "product.published", product.product_id, product, 1)
    await publish(amqp_url, "users", "user.sessions_revoked", user.user_id, user, 2)
    until(lambda: Product.objects.filter(id=product.product_id).exists())
    until(lambda: TokenState.objects.filter(user_id=user.user_id, token_epoch=3).exists())

    customer = CustomerSnapshot(user.user_id, 3, "ru", "Europe/Moscow", "hash", "a@example.com")
    start_subscription(customer, product_id=product.product_id, now=NOW)

    def unpublished() -> int:
        with cursor() as database:
            database.execute("SELECT count(*) FROM outbox WHERE published_at IS NULL")
            return int(database.fetchone()[0])

    until(lambda: unpublished() == 0)
    async with bus.connected(amqp_url, "test") as connection:
        types = []
        async for message in bus.read_stream(connection, "data-bus.invoices", "first"):
            types.append(json.loads(message.body)["type"])
            if len(types) == 2:
                break
    assert sorted(types) == ["invoice.issued", "subscription.created"]

    order = OutgoingOrder.objects.create(
        account=rows.account(new_id()),
        kind="refund",
        payment_id=new_id(),
        amount_minor=100,
        state="pending",
        next_try_at=NOW,
        created_at=NOW,
    )
    until(lambda: OutgoingOrder.objects.get(id=order.id).state == "sent")
    assert [(path, key) for path, key, _ in user_api.asked] == [
        (f"/internal/v1/payments/{order.payment_id}/refunds", str(order.id))
    ]
    metrics = fetch(f"{url}/metrics").text
    assert 'events_consumed_total{outcome="handled",queue="billing.catalog"' in metrics
    assert fetch(f"{url}/readyz").json()["checks"]["rabbitmq"] == "ok"


def test_an_older_state_and_a_duplicate_have_no_effect(billing: DatabaseUrls) -> None:
    from billing_api.billing_service.models import TokenState
    from billing_api.consuming import apply
    from shared.clock import SystemClock

    user_id = new_id()

    def event(sequence: int, epoch: int) -> Any:
        state = UserState(
            user_id=user_id,
            status="active",
            locale="ru",
            time_zone="Europe/Moscow",
            token_epoch=epoch,
            created_at=NOW,
            updated_at=NOW,
        )
        return build_envelope("user-api", "user.updated", user_id, sequence, state, NOW)

    newer, older = event(5, 2), event(4, 1)
    clock = SystemClock()
    assert apply("billing.users", newer, clock) is True
    assert apply("billing.users", newer, clock) is False
    assert apply("billing.users", older, clock) is False
    assert TokenState.objects.get(user_id=user_id).token_epoch == 2


def test_a_failing_event_leaves_no_trace(billing: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> None:
    from billing_api.billing_service import consumers
    from billing_api.billing_service.models import Account
    from billing_api.consuming import apply
    from shared.clock import SystemClock

    state = UserState(
        user_id=new_id(),
        status="active",
        locale="ru",
        time_zone="Europe/Moscow",
        token_epoch=1,
        created_at=NOW,
        updated_at=NOW,
    )
    envelope = build_envelope("user-api", "user.registered", state.user_id, 1, state, NOW)
    real = consumers.apply_event

    def fails(*arguments: Any) -> None:
        real(*arguments)
        raise RuntimeError("in the middle")

    monkeypatch.setattr(consumers, "apply_event", fails)
    with pytest.raises(RuntimeError):
        apply("billing.users", envelope, SystemClock())
    assert not Account.objects.exists()
    monkeypatch.setattr(consumers, "apply_event", real)
    assert apply("billing.users", envelope, SystemClock()) is True  # the inbox row was undone too
