"""The cloudpayments-sandbox service: puts the provider's API, its pages and the operator's view together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from pay_api.sandbox import console, description, public
from pay_api.sandbox.acs import acs_page
from pay_api.sandbox.gate import CONNECTION, Gate, HungUp
from pay_api.sandbox.order_page import order_page, order_return
from pay_api.sandbox.pages import transactions_page
from pay_api.sandbox.qr_page import qr_page
from pay_api.sandbox.recurrence import charge_due
from pay_api.sandbox.registry import load_methods
from pay_api.sandbox.settings import SandboxSettings
from pay_api.sandbox.terminal import Terminal
from pay_api.sandbox.under_way import settle_due
from shared import correlation, logs
from shared.clock import Clock


class SandboxApp(Starlette):
    """Keeps the server's own ``send`` within reach, so that a fault can cut the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope[CONNECTION] = send
        header = dict(scope["headers"]).get(b"x-correlation-id", b"").decode("latin-1")
        with correlation.correlated(correlation.accept(header)):
            await super().__call__(scope, receive, send)


async def _overview(request: Request) -> Response:
    return console.refusal(request) or await transactions_page(request)


async def _end_what_is_due(terminal: Terminal) -> None:
    """Looks every second of real time; what is due is the suite's clock's business."""
    while True:
        charge_due(terminal)
        settle_due(terminal)
        await asyncio.sleep(1)


def _lifespan(terminal: Terminal) -> Callable[[Starlette], object]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        terminal.notifier.ensure_running()  # what an earlier process left undelivered
        charging = asyncio.create_task(_end_what_is_due(terminal))
        try:
            yield
        finally:
            charging.cancel()
            await terminal.notifier.close()
            terminal.journal.close()

    return lifespan


def create_app(settings: SandboxSettings | None = None, clock: Clock | None = None) -> Starlette:
    """The application; settings come from the environment and the clock from the settings unless given."""
    settings = settings or SandboxSettings()
    settings.refuse_unsafe()
    logs.configure(settings.service_name, settings.log_level)
    load_methods()
    terminal = Terminal(settings, clock or settings.clock())
    app = SandboxApp(
        routes=[
            Route("/", _overview, methods=["GET"]),
            Route("/acs", acs_page, methods=["GET", "POST"]),
            Route("/payments/publickey", console.public_key, methods=["GET", "POST"]),
            Route("/bins/info/{bin}", public.bin_info, methods=["GET"]),
            Route("/merchant/configuration", public.merchant_configuration, methods=["GET"]),
            Route("/payments/ThreeDSCallback", public.threeds_callback, methods=["POST"]),
            Route("/WebFormPost/GetWebViewData", public.web_view_data, methods=["POST"]),
            Route("/qr/{link_id}", qr_page, methods=["GET", "POST"]),
            Route("/d/{order_id}", order_page, methods=["GET", "POST"]),
            Route("/d/{order_id}/3ds", order_return, methods=["POST"]),
            Route("/oracle", console.oracle, methods=["GET"]),
            Route("/faults", console.read_faults, methods=["GET"]),
            Route("/faults", console.add_fault, methods=["POST"]),
            Route("/faults", console.clear_faults, methods=["DELETE"]),
            Route("/chargebacks", console.add_chargeback, methods=["POST"]),
            Route("/docs", description.docs, methods=["GET"]),
            Route("/openapi.json", description.openapi, methods=["GET"]),
            Route("/healthz", console.healthz, methods=["GET"]),
            Route("/readyz", console.readyz, methods=["GET"]),
            Route("/metrics", console.exposition, methods=["GET"]),
            Mount("/", Gate(terminal)),
        ],
        lifespan=_lifespan(terminal),  # type: ignore[arg-type]
    )
    app.state.terminal = terminal
    return app


__all__ = ["HungUp", "create_app"]
