"""Runs the migrations of the database `pay` as its owner."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from pay_api.models import Base
from shared.settings import ConfigurationRefused, secret_or_file


def _url() -> str:
    url = secret_or_file("MIGRATION_DATABASE_URL")
    if url is None:
        raise ConfigurationRefused("MIGRATION_DATABASE_URL", "it is needed to migrate")
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


async def _main() -> None:
    engine = create_async_engine(_url(), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_run)
    await engine.dispose()


asyncio.run(_main())
