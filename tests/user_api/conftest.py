"""Fixtures of UserAPI's tests: a migrated database of its own per test, empty Redis, the app over ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
import pytest
import redis
from fastapi import FastAPI

from shared import keys
from shared.clock import ManualClock
from tests import emptying, servers
from tests.servers import DatabaseUrls
from user_api.main import create_app
from user_api.settings import Settings

MIGRATE = ["alembic", "-c", "user_api/alembic.ini", "upgrade", "head"]
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CREDENTIALS = {
    name: [f"{name}-credential"]
    for name in ("billing-api", "admin-panel", "operator", "pay-api", "user-api", "scheduler")
}


@pytest.fixture(scope="session")
def jwt_keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("jwt-keys")
    keys.create(directory)
    return directory


@pytest.fixture(scope="session")
def users_redis_url() -> str:
    return servers.redis_database()


@pytest.fixture(scope="session")
def users_database() -> DatabaseUrls:
    return servers.create_database("users", migrate=MIGRATE)


@pytest.fixture
async def database(users_database: DatabaseUrls) -> DatabaseUrls:
    """The Users database without a row in it."""
    connection = await asyncpg.connect(users_database.superuser)
    try:
        await connection.execute(emptying.statement("alembic_version"))
    finally:
        await connection.close()
    return users_database


@pytest.fixture
def empty_redis(users_redis_url: str) -> str:
    """URL of a logical Redis database without a key in it."""
    client = redis.Redis.from_url(users_redis_url)
    client.flushdb()
    client.close()
    return users_redis_url


@pytest.fixture
def clock() -> ManualClock:
    """Stands still at ``START`` until a test moves it."""
    return ManualClock(START)


@pytest.fixture
def make_settings(database: DatabaseUrls, empty_redis: str, jwt_keys_dir: Path) -> Callable[..., Settings]:
    """Settings of a test process; keyword arguments replace single ones."""

    def make(**changes: object) -> Settings:
        values: dict[str, object] = {
            "app_env": "test",
            "log_level": "WARNING",
            "database_url": database.service,
            "cache_redis_url": empty_redis,
            "session_redis_url": empty_redis,
            # a busy machine is no part of what is tested; tests of the budget itself set their own
            "cache_budget_seconds": 10,
            "session_redis_seconds": 10,
            "clock_redis_url": empty_redis,
            "jwt_keys_dir": jwt_keys_dir,
            "accepted_credentials": CREDENTIALS,
        }
        return Settings(**(values | changes))

    return make


@pytest.fixture
async def make_app(
    make_settings: Callable[..., Settings], clock: ManualClock
) -> AsyncIterator[Callable[..., FastAPI]]:
    """Builds apps and closes them after the test; keyword arguments replace settings."""
    made: list[FastAPI] = []

    def make(**changes: object) -> FastAPI:
        made.append(create_app(make_settings(**changes), clock))
        return made[-1]

    yield make
    for app in made:
        await app.state.resources.close()


@pytest.fixture
def app(make_app: Callable[..., FastAPI]) -> FastAPI:
    return make_app()


def client_of(app: FastAPI, address: str = "198.51.100.7") -> httpx.AsyncClient:
    """A client of the app from an IP address; the server's exceptions come as its answers."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 40000))
    return httpx.AsyncClient(transport=transport, base_url="http://user-api")


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as made:
        yield made


@pytest.fixture
def as_service() -> Callable[[str], dict[str, str]]:
    """Headers of a calling service."""
    return lambda name: {"Authorization": f"Bearer {CREDENTIALS[name][0]}"}


@pytest.fixture
async def rows(database: DatabaseUrls) -> AsyncIterator[Callable[..., object]]:
    """``await rows("SELECT ...", *arguments)``: what the database holds, seen by its owner."""
    connection = await asyncpg.connect(database.owner)

    async def fetch(sql: str, *arguments: object) -> list[asyncpg.Record]:
        return await connection.fetch(sql, *arguments)

    yield fetch
    await connection.close()
