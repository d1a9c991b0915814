"""Runs the migrations of the Users database as its owner (MIGRATION_DATABASE_URL)."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from shared.settings import ConfigurationRefused, secret_or_file
from user_api.user_service import commerce_models, models
from user_api.user_service.database import async_url

target_metadata = models.Base.metadata
assert commerce_models.Base is models.Base  # one metadata for both files of tables


def has_model(_: object, name: str | None, kind: str, reflected: bool, model: object) -> bool:
    """Tables of the shared SQL have no models here; ``alembic check`` leaves them alone."""
    return not (kind == "table" and reflected and model is None)


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=target_metadata,
        compare_type=True,
        include_object=has_model,
    )
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    url = secret_or_file("MIGRATION_DATABASE_URL")
    if url is None:
        raise ConfigurationRefused("MIGRATION_DATABASE_URL", "it is needed to migrate")
    engine = create_async_engine(async_url(url), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=target_metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(main())
