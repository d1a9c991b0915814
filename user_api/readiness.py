"""Whether a process of UserAPI can work: its own database, migrated; Redis only degrades it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from shared.health import Health
from user_api.resources import Resources


@cache
def newest_migration() -> str | None:
    """The revision the code was written for."""
    return ScriptDirectory.from_config(Config(Path(__file__).with_name("alembic.ini"))).get_current_head()


def make_health(resources: Resources) -> Health:
    async def database() -> None:
        async with resources.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def migrations() -> None:
        async with resources.engine.connect() as connection:
            applied = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        if applied != newest_migration():
            raise RuntimeError("migrations are pending")

    async def sessions() -> None:
        await resources.session_redis.ping()

    async def cache_() -> None:
        await resources.cache_redis.ping()

    return Health(
        required={"database": database, "migrations": migrations},
        others={"sessions": sessions, "cache": cache_},
    )
