"""PayAPI, its worker's parts and the sandbox, all real and over HTTP, under one clock the tests move."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import uvicorn
from cryptography.fernet import Fernet

from deploy.processes import KEEP_ALIVE_SECONDS
from pay_api.main import create_app
from pay_api.pay_service.charge_queued import charge_queued
from pay_api.pay_service.context import Context, open_context
from pay_api.pay_service.reconcile import reconcile
from pay_api.sandbox.cryptogram import make_packet
from pay_api.sandbox.main import create_app as create_sandbox
from pay_api.sandbox.settings import SandboxSettings
from pay_api.settings import Settings
from shared.clock import ManualClock
from shared.ids import new_id
from tests import servers

TOKEN = "user-api-to-pay-api-token"
OK, OK_3DS, POOR, TOKEN_POOR = (
    "4000000000003055",
    "4242424242424242",
    "4000056655665556",
    "4111111111111111",
)
MIGRATE = ["alembic", "-c", "pay_api/alembic.ini", "upgrade", "head"]


class ThreadedServer:
    """An ASGI app on a free port, in a thread with a loop of its own."""

    def __init__(self, app: Any, port: int) -> None:
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.url = f"http://127.0.0.1:{port}"

    def start(self) -> None:
        self.thread.start()
        deadline = time.monotonic() + 20
        while not self.server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)

    def stop(self) -> None:
        self.server.should_exit = True
        self.server.force_exit = True
        self.thread.join(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class House:
    """Addresses and settings of what runs."""

    settings: Settings
    clock: ManualClock
    pay_url: str
    sandbox_url: str
    dsn: str
    owner_dsn: str


@contextmanager
def open_house(**of_the_sandbox: Any) -> Iterator[House]:
    """PayAPI and a sandbox that notify each other, on a database of their own."""
    urls = servers.create_database("pay", MIGRATE)
    clock = ManualClock(datetime.now(UTC))
    pay_port, sandbox_port = free_port(), free_port()
    settings = Settings(
        app_env="test",
        log_level="ERROR",
        database_url=urls.service,
        public_url=f"http://127.0.0.1:{pay_port}",
        cloudpayments_api_url=f"http://127.0.0.1:{sandbox_port}",
        cloudpayments_public_url=f"http://127.0.0.1:{sandbox_port}",
        cloudpayments_concurrent_calls=20,
        provider_breaker_failures=1000,  # other tests break the provider on purpose; the breaker has its own
        bank_transfer_account="40702810900000000001",
        bank_transfer_inn="7700000000",
        bank_transfer_bank="Банк",
        bank_transfer_bic="044525000",
        token_encryption_key=Fernet.generate_key().decode(),
        link_signing_key="link-key-of-the-tests",
        accepted_credentials={"user-api": [TOKEN], "operator": ["operator-token"]},
    )
    sandbox = ThreadedServer(
        create_sandbox(
            SandboxSettings(
                app_env="test",
                log_level="ERROR",
                sandbox_public_url=f"http://127.0.0.1:{sandbox_port}",
                sandbox_notifications_url=f"http://127.0.0.1:{pay_port}/v1/webhooks/cloudpayments",
                sandbox_concurrent_calls=50,
                **of_the_sandbox,
            ),
            clock,
        ),
        sandbox_port,
    )
    pay = ThreadedServer(create_app(settings, open_context(settings, clock)), pay_port)
    sandbox.start()
    pay.start()
    yield House(settings, clock, pay.url, sandbox.url, urls.service, urls.owner)
    pay.stop()
    sandbox.stop()


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    with open_house() as opened:
        yield opened


@pytest.fixture(scope="session")
async def ctx(house: House) -> AsyncIterator[Context]:
    """A context of the tests' own loop: the worker's side."""
    context = open_context(house.settings, house.clock)
    yield context
    await context.aclose()


@pytest.fixture(scope="session")
async def db(house: House) -> AsyncIterator[asyncpg.Pool]:
    pool = await asyncpg.create_pool(house.owner_dsn, min_size=1, max_size=3)
    yield pool
    await pool.close()


class Pay:
    """PayAPI and the sandbox as the tests use them."""

    def __init__(self, house: House, http: httpx.AsyncClient, key: dict[str, Any]) -> None:
        self.house, self.http, self.key = house, http, key
        self.clock = house.clock

    def cryptogram(self, pan: str = OK) -> str:
        return make_packet(
            self.key["Pem"],
            self.key["Version"],
            self.house.settings.cloudpayments_public_id,
            pan,
            12,
            2040,
            "123",
        )

    def body(self, pan: str = OK, amount: int = 49_900, **changes: Any) -> dict[str, Any]:
        body = {
            "payment_id": str(new_id()),
            "invoice_id": str(new_id()),
            "user_id": str(new_id()),
            "amount": {"amount": amount, "currency": "RUB"},
            "description": "Подписка «Премиум»",
            "initiator": "customer",
            "method": {
                "kind": "card_cryptogram",
                "card_cryptogram": self.cryptogram(pan),
                "save_method": False,
            },
            "payer": {"email": "viewer@example.com", "ip": "203.0.113.7", "locale": "ru"},
            "return_url": "https://cinema.example/account?tab=1",
            "receipt": {
                "lines": [
                    {
                        "label": "Подписка «Премиум»",
                        "quantity": 1,
                        "amount": {"amount": amount, "currency": "RUB"},
                        "vat_rate_bp": 2000,
                    }
                ]
            },
        }
        return {**body, **changes}

    async def post(
        self, path: str, body: Any = None, key: str | None = None, **headers: str
    ) -> httpx.Response:
        sent = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": key or str(new_id()), **headers}
        return await self.http.post(self.house.pay_url + path, json=body or {}, headers=sent)

    async def get(self, path: str, **params: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return await self.http.get(self.house.pay_url + path, params=params, headers=headers)

    async def start(self, body: dict[str, Any], key: str | None = None, **headers: str) -> httpx.Response:
        return await self.post("/v1/payments", body, key or body["payment_id"], **headers)

    async def insist(self, path: str, body: dict[str, Any], key: str | None = None) -> httpx.Response:
        """What a good client does when many want one row: comes again, with the same key, if told to."""
        key = key or str(new_id())
        for _ in range(10):
            answer = await self.post(path, body, key)
            if answer.status_code != 503 or answer.json()["type"] != "/problems/database-busy":
                break
            await asyncio.sleep(int(answer.headers["Retry-After"]))
        return answer

    async def pay(self, pan: str = OK, expect: str = "succeeded", **changes: Any) -> dict[str, Any]:
        answer = await self.start(self.body(pan, **changes))
        assert answer.status_code == 201, answer.text
        assert answer.json()["status"] == expect, answer.text
        return answer.json()

    async def show(self, payment_id: str) -> dict[str, Any]:
        return (await self.get(f"/v1/payments/{payment_id}")).json()

    async def until(self, payment_id: str, *statuses: str) -> dict[str, Any]:
        for _ in range(600):  # a worker may have to be loaded first, on a busy machine
            view = await self.show(payment_id)
            if view["status"] in statuses:
                return view
            await asyncio.sleep(0.05)
        raise AssertionError(f"still {view['status']}, not {statuses}")

    async def fault(self, **fault: Any) -> None:
        answer = await self.http.post(f"{self.house.sandbox_url}/faults", json=fault)
        assert answer.status_code == 201, answer.text

    async def oracle(self, account_id: str) -> list[dict[str, Any]]:
        answer = await self.http.get(f"{self.house.sandbox_url}/oracle", params={"account_id": account_id})
        return answer.json()["entries"]

    async def effects(self, account_id: str) -> list[tuple[str, int]]:
        return [(entry["effect"], entry["amount"]) for entry in await self.oracle(account_id)]


@asynccontextmanager
async def at_home(house: House) -> AsyncIterator[Pay]:
    """A client of a house whose provider behaves."""
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        await http.delete(f"{house.sandbox_url}/faults")
        key = (await http.get(f"{house.sandbox_url}/payments/publickey")).json()
        yield Pay(house, http, key)
        await http.delete(f"{house.sandbox_url}/faults")


@pytest.fixture
async def pay(house: House) -> AsyncIterator[Pay]:
    async with at_home(house) as client:
        yield client


async def reconcile_all(ctx: Context) -> None:
    """Passes until nothing is due: a pass takes some rows only, and those of earlier tests come first."""
    for _ in range(50):
        if await reconcile(ctx) == 0:
            return
    raise AssertionError("something stays due whatever the reconciler does")


async def lost_renewal(pay: Pay, ctx: Context) -> tuple[str, str, str]:
    """A merchant's charge whose request never reached the provider: payer, saved card, unknown payment."""
    body = pay.body()
    body["method"]["save_method"] = True
    method_id = (await pay.start(body)).json()["payment_method_id"]
    saved = {"kind": "saved_method", "payment_method_id": method_id}
    renewal = pay.body(user_id=body["user_id"], initiator="merchant", method=saved)
    await pay.start(renewal)
    await pay.fault(kind="timeout_before", method="payments/tokens/charge", manner="close")
    while await charge_queued(ctx):
        pass
    assert (await pay.show(renewal["payment_id"]))["status"] == "unknown"
    return body["user_id"], method_id, renewal["payment_id"]


async def event_types(db: asyncpg.Pool, aggregate_id: str) -> list[str]:
    """Types in the outbox, in order; checks that the sequence has no gap."""
    rows = await db.fetch(
        "SELECT event_type, aggregate_sequence FROM outbox WHERE aggregate_id = $1 "
        "ORDER BY aggregate_sequence",
        UUID(aggregate_id),
    )
    assert [row["aggregate_sequence"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["event_type"] for row in rows]


async def history(db: asyncpg.Pool, payment_id: str) -> list[tuple[str, str]]:
    rows = await db.fetch(
        "SELECT to_status, actor FROM payment_transition WHERE payment_id = $1 ORDER BY id", UUID(payment_id)
    )
    return [(row["to_status"], row["actor"]) for row in rows]
