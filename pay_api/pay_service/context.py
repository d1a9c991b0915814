"""What every use case of PayService is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util.queue import AsyncAdaptedQueue

from pay_api import timeouts
from pay_api.providers.base import Provider
from pay_api.providers.registry import open_providers
from pay_api.settings import Settings
from pay_api.vault import Vault
from shared import wait_budget
from shared.clock import Clock
from shared.pool import Pool

SOURCE: Final = "pay-api"


class _Queue(AsyncAdaptedQueue[Any]):
    """Free connections; whoever waits for one waits no longer than its request has time."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        return super().get(block, timeout if timeout is None else wait_budget.left(timeout))


class _BudgetedPool(AsyncAdaptedQueuePool):
    _queue_class = _Queue


@dataclass(frozen=True, slots=True)
class Context:
    """Database, clock, connectors and vault of one process.

    ``pool`` reaches the same database as ``sessions``, without the ORM: for what every payment goes through.
    """

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    pool: Pool
    clock: Clock
    providers: Mapping[str, Provider]
    vault: Vault

    async def aclose(self) -> None:
        for provider in self.providers.values():
            await provider.aclose()
        await self.pool.aclose()
        await self.engine.dispose()


def open_context(settings: Settings, clock: Clock | None = None, *, pool_size: int = 10) -> Context:
    """Opens nothing yet: connections are made when first used."""
    url = settings.asyncpg_dsn.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(
        url,
        poolclass=_BudgetedPool,
        connect_args={"timeout": timeouts.DATABASE_POOL},
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=timeouts.DATABASE_POOL,
        pool_pre_ping=True,
        hide_parameters=True,  # a failing statement's values stay out of the logs
    )
    return Context(
        engine,
        async_sessionmaker(engine, expire_on_commit=False),
        Pool(settings.asyncpg_dsn, size=pool_size, wait_seconds=timeouts.DATABASE_POOL),
        clock or settings.clock(),
        open_providers(settings),
        Vault(settings.token_encryption_key.get_secret_value()),
    )
