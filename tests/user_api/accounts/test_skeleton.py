"""The app starts, is ready on a migrated database, and publishes its keys."""

from __future__ import annotations

from collections.abc import Callable

import httpx


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


def newest() -> str:
    from user_api.readiness import newest_migration

    found = newest_migration()
    assert found
    return found
