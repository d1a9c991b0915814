"""Puts PayAPI together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from pay_api.api import (
    checkout,
    events,
    internal,
    invoices,
    payment_methods,
    payments,
    refunds,
    threeds,
    webhooks,
)
from pay_api.api.bounded import BoundedRequests
from pay_api.api.card_keys import CardKeys
from pay_api.api.deps import Edge
from pay_api.health import database_health
from pay_api.links import Links
from pay_api.pay_service.context import Context, open_context
from pay_api.settings import Settings
from pay_api.watch import Watch
from shared import asgi, logs, tracing
from shared.auth import EndUserVerifier, JwksKeys, ServiceVerifier
from shared.stopping import on_stop

DESCRIPTION = """
Takes payments of invoices through a payment provider.

Money is an integer of minor units, moments are UTC, errors are RFC 9457 problems. Every POST of a service
needs an `Idempotency-Key`. A decline is an answer, not an error.
"""


def build_edge(settings: Settings, ctx: Context) -> Edge:
    links = Links(settings.pages_url, settings.link_signing_key.get_secret_value(), ctx.clock)
    return Edge(
        ctx=ctx,
        links=links,
        watch=Watch(settings.asyncpg_dsn),
        card_keys=CardKeys(ctx.providers),
        services=ServiceVerifier(settings.accepted_credentials),
        end_users=EndUserVerifier("pay-api", JwksKeys(settings.jwks_url), ctx.clock),
    )


def create_app(settings: Settings | None = None, ctx: Context | None = None) -> FastAPI:
    """The ASGI application. Stops the process when production is configured unsafely."""
    settings = settings or Settings()
    settings.refuse_unsafe()
    logs.configure(settings.service_name, settings.log_level)
    tracing.start(settings.service_name)
    context = ctx or open_context(settings)
    tracing.watch_engine(context.engine)
    edge = build_edge(settings, context)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(edge.watch.run())
        try:
            with on_stop(edge.watch.close):
                yield
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            await context.aclose()

    app = FastAPI(
        title="PayAPI",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        servers=asgi.SERVERS,
        telemetry=tracing.fastapi_telemetry(),
    )
    app.state.edge = edge
    modules = (
        payments,
        refunds,
        invoices,
        payment_methods,
        events,
        threeds,
        checkout,
        webhooks,
        internal,
    )
    for module in modules:
        app.include_router(module.router)
    asgi.add_docs(app)
    app.add_middleware(BoundedRequests)
    asgi.install(app, database_health(context.engine))
    return app
