"""Builds the UserAPI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from shared import asgi, logs, tracing
from shared.clock import Clock
from shared.errors import unavailable
from user_api.access_route import AccessRoute
from user_api.api import DEVELOPMENT_ROUTERS, ROUTERS
from user_api.readiness import make_health
from user_api.resources import open_resources
from user_api.settings import Settings
from user_api.user_service.database import DATABASE_AWAY

log = logs.logger(__name__)


async def on_database_away(request: Request, error: Exception) -> Response:
    """503: whatever was begun has been rolled back, so the same request may come again."""
    log.error("database-away", error=type(error).__name__)
    return await asgi.on_app_error(
        request, unavailable("database-unavailable", "The service cannot reach its data just now.", 2)
    )


class UserApi(FastAPI):
    """The application, with its most frequent request answered in front of everything else."""

    access_route: AccessRoute

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not (AccessRoute.fits(scope) and await self.access_route.answer(scope, send)):
            await super().__call__(scope, receive, send)


def create_app(settings: Settings | None = None, clock: Clock | None = None) -> FastAPI:
    """The application, with ``app.state.resources`` open; refuses unsafe settings in production.

    ``clock`` stands in for the suite's in tests.
    """
    settings = settings or Settings()
    settings.refuse_unsafe()
    logs.configure(settings.service_name, settings.log_level)
    tracing.start(settings.service_name)
    resources = open_resources(settings, clock)
    tracing.watch_engine(resources.engine)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await resources.close()

    app = UserApi(
        title="UserAPI",
        version="1.0.0",
        summary="Accounts, products, payments and access rights of the online cinema's users.",
        lifespan=lifespan,
        responses=asgi.problem_responses(),
        docs_url=None,
        redoc_url=None,
        servers=asgi.SERVERS,
        telemetry=tracing.fastapi_telemetry(),
    )
    app.state.resources = resources
    app.access_route = AccessRoute(resources.end_users, resources.rights)
    for router in (*ROUTERS, *(() if settings.is_production else DEVELOPMENT_ROUTERS)):
        app.include_router(router)
    asgi.add_docs(app)
    for foreign in DATABASE_AWAY:
        app.add_exception_handler(foreign, on_database_away)
    asgi.install(app, make_health(resources))
    return app
