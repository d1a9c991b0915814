"""A sandbox on a real port, a merchant that hears its notifications, and a client for both."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.processes import KEEP_ALIVE_SECONDS
from pay_api.sandbox.cryptogram import make_packet
from pay_api.sandbox.main import create_app
from pay_api.sandbox.settings import SandboxSettings
from pay_api.sandbox.terminal import Terminal
from shared.clock import ManualClock

PUBLIC_ID, SECRET = "pk_cinema_sandbox", "cinema-sandbox-secret"
VISA, VISA_3DS, VISA_POOR = "4000000000003055", "4242424242424242", "4000056655665556"
VISA_3DS_POOR, VISA_ONCE = "4012888888881881", "4111111111111111"


@dataclass
class Heard:
    """One notification as it came."""

    type: str
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass
class Merchant:
    """Answers notifications as told: a body, or a status when the answer is a number."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    delay_seconds: float = 0.0

    async def handle(self, request: Request) -> Response:
        kind = request.path_params["type"]
        body = await request.body()
        await asyncio.sleep(self.delay_seconds)
        self.heard.append(Heard(kind, dict(request.headers), body))
        answer = self.answers.get(kind, {"code": 0})
        return Response(status_code=answer) if isinstance(answer, int) else JSONResponse(answer)

    def types(self) -> list[str]:
        return [item.type for item in self.heard]

    async def until(self, count: int, kind: str | None = None) -> list[Heard]:
        """Waits until so many have come (of one type, if named)."""
        async with asyncio.timeout(20):
            while True:
                found = [item for item in self.heard if kind in (None, item.type)]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serves an application by uvicorn on a free port of loopback."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_config=None, timeout_graceful_shutdown=1, timeout_keep_alive=KEEP_ALIVE_SECONDS
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 (uvicorn offers no event)
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@dataclass
class Sandbox:
    """The running stand-in as a caller sees it."""

    url: str
    http: httpx.AsyncClient
    terminal: Terminal
    clock: ManualClock
    merchant: Merchant

    def packet(self, pan: str, exp_month: int = 12, exp_year: int = 2030) -> str:
        return make_packet(self.terminal.key.pem, 4, PUBLIC_ID, pan, exp_month, exp_year, "123")

    async def call(self, method: str, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        response = await self.http.post(f"/{method}", json=body, headers=headers)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def charge(self, pan: str = VISA, *, method: str = "charge", **body: Any) -> dict[str, Any]:
        headers = body.pop("headers", None)
        whole = {"Amount": 10, "IpAddress": "10.0.0.1", "CardCryptogramPacket": self.packet(pan)} | body
        return await self.call(f"payments/cards/{method}", headers, **whole)

    async def saved(self, pan: str = VISA, account: str = "acc") -> str:
        answer = await self.charge(pan, AccountId=account, SaveCard=True)
        token: str = answer["Model"]["Token"]
        return token

    async def ledger(self, **filters: str) -> dict[str, Any]:
        response = await self.http.get("/oracle", params=filters)
        report: dict[str, Any] = response.json()
        return report

    async def effects(self) -> list[tuple[str, int]]:
        return [(entry["effect"], entry["amount"]) for entry in (await self.ledger())["entries"]]


@pytest.fixture
async def merchant() -> AsyncIterator[Merchant]:
    found = Merchant()
    app = Starlette(routes=[Route("/hooks/{type}", found.handle, methods=["POST"])])
    async with serving(app) as url:
        found.url = url + "/hooks"
        yield found


OpenSandbox = Callable[..., contextlib.AbstractAsyncContextManager[Sandbox]]


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox") / "key.pem"


@pytest.fixture
def open_sandbox(merchant: Merchant, key_file: Path) -> OpenSandbox:
    """``async with open_sandbox(sandbox_check_enabled=True) as sandbox``"""

    @contextlib.asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[Sandbox]:
        values = {
            "sandbox_notifications_url": merchant.url,
            "sandbox_key_file": key_file,  # one key for all: making it is the slow part
            "log_level": "WARNING",
        } | settings
        clock = ManualClock(datetime(2027, 3, 1, 12, 0, 5, 700_000, tzinfo=UTC))
        app = create_app(SandboxSettings(**values), clock)
        async with (
            serving(app) as url,
            httpx.AsyncClient(base_url=url, auth=(PUBLIC_ID, SECRET), trust_env=False) as http,
        ):
            yield Sandbox(url, http, app.state.terminal, clock, merchant)

    return opened


@pytest.fixture
async def sandbox(open_sandbox: OpenSandbox) -> AsyncIterator[Sandbox]:
    async with open_sandbox() as opened:
        yield opened
