"""What PayAPI and its worker need to be ready: their database, migrated to the newest version."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.health import Health

_INI: Final = Path(__file__).with_name("alembic.ini")


def newest_revision() -> str:
    revision = ScriptDirectory.from_config(Config(str(_INI))).get_current_head()
    assert revision is not None
    return revision


def database_health(engine: AsyncEngine) -> Health:
    """Ready when the database answers and no migration is pending."""
    expected = newest_revision()

    async def database() -> None:
        async with engine.connect() as connection:
            found = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        if found != expected:
            raise RuntimeError("migrations are pending")

    return Health(required={"database": database})
