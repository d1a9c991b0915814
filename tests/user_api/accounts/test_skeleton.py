"""The app starts, is ready on a migrated database, and publishes its keys."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

import httpx

from tests.servers import DatabaseUrls


async def test_ready_when_the_database_is_migrated(client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert answer.status_code == 200, answer.text
    assert answer.json()["checks"]["migrations"] == "ok"


async def test_publishes_only_public_halves_of_its_keys(client: httpx.AsyncClient) -> None:
    (key,) = (await client.get("/.well-known/jwks.json")).json()["keys"]
    assert key["kty"] == "OKP"
    assert key["alg"] == "EdDSA"
    assert "d" not in key


async def test_not_ready_while_a_migration_is_pending(
    client: httpx.AsyncClient, rows: Callable[..., object]
) -> None:
    (applied,) = await rows("UPDATE alembic_version SET version_num = 'older' RETURNING 1")  # type: ignore[misc]
    assert applied
    answer = await client.get("/readyz")
    await rows("UPDATE alembic_version SET version_num = $1", newest())  # type: ignore[misc]
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "database": "ok",
        "migrations": "failed",
        "sessions": "ok",
        "cache": "ok",
    }


async def test_models_and_migrations_say_the_same(database: DatabaseUrls) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "alembic",
        "-c",
        "user_api/alembic.ini",
        "check",
        env=os.environ | database.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


def newest() -> str:
    from user_api.readiness import newest_migration

    found = newest_migration()
    assert found
    return found
