"""Builds the UserAPI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from shared import asgi, logs
from shared.clock import Clock
from user_api.api import ROUTERS
from user_api.readiness import make_health
from user_api.resources import open_resources
from user_api.settings import Settings


def create_app(settings: Settings | None = None, clock: Clock | None = None) -> FastAPI:
    """The application, with ``app.state.resources`` open; refuses unsafe settings in production.

    ``clock`` stands in for the suite's in tests.
    """
    settings = settings or Settings()  # type: ignore[call-arg]
    settings.refuse_unsafe()
    logs.configure(settings.service_name, settings.log_level)
    resources = open_resources(settings, clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await resources.close()

    app = FastAPI(
        title="UserAPI",
        version="1.0.0",
        summary="Accounts, products, payments and access rights of the online cinema's users.",
        lifespan=lifespan,
        responses=asgi.problem_responses(),
        redoc_url=None,
    )
    app.state.resources = resources
    for router in ROUTERS:
        app.include_router(router)
    asgi.install(app, make_health(resources))
    return app
