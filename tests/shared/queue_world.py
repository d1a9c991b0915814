"""A publisher's and a consumer's database in one, and a broker: what tests of the data bus stand on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from shared import tables
from shared.clock import ManualClock
from shared.ids import new_id
from shared.money import Money
from shared.queue import broker, inbox, outbox
from shared.queue.consumer import Consumer
from shared.queue.messages.base import Envelope, state_of
from shared.queue.messages.payments import PaymentState, PaymentStatus
from shared.queue.relay import Relay
from tests.servers import Broker, DatabaseUrls, create_database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUEUE = "billing.payments"


def _migrate(urls: DatabaseUrls) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(urls.owner)
        await connection.execute(tables.SQL)
        await connection.execute("CREATE TABLE effect (payment_id uuid, sequence bigint, status text)")
        await connection.close()

    asyncio.run(run())


class World:
    """A publisher's and a consumer's database in one, and a broker of its own."""

    def __init__(self, urls: DatabaseUrls, amqp_url: str, engine: AsyncEngine) -> None:
        self.url = urls.service
        self.owner_url = urls.owner
        self.amqp_url = amqp_url
        self.sessions = async_sessionmaker(engine, expire_on_commit=False)
        self.stop = asyncio.Event()
        # what is handled is stamped with today: months old, it would be swept away in the middle of a test
        self.clock = ManualClock(datetime.now(UTC))
        self.poison: set[UUID] = set()
        self.tasks: list[asyncio.Task[None]] = []

    async def add(self, session: AsyncSession, payment_id: UUID, event_type: str) -> Envelope:
        status = PaymentStatus(event_type.removeprefix("payment."))
        return await outbox.add_async(
            session, "pay-api", event_type, payment_id, state(payment_id, status), NOW
        )

    async def publish(self, *events: tuple[UUID, str]) -> None:
        async with self.sessions.begin() as session:
            for payment_id, event_type in events:
                await self.add(session, payment_id, event_type)

    async def handle(self, envelope: Envelope) -> None:
        async with self.sessions.begin() as session:
            if not await inbox.accept_async(session, QUEUE, envelope, self.clock.now()):
                return
            if envelope.aggregateid in self.poison:
                raise LookupError("no such account")
            told = state_of(envelope)
            assert isinstance(told, PaymentState)
            await session.execute(
                text("INSERT INTO effect VALUES (:id, :sequence, :status)"),
                {"id": envelope.aggregateid, "sequence": envelope.aggregatesequence, "status": told.status},
            )

    def start(self, loop: Any) -> None:
        self.tasks.append(asyncio.create_task(loop.run(self.stop)))

    def relay(self) -> Relay:
        return Relay(self.url, self.amqp_url, "pay-api", ["payments"])

    def consumer(self) -> Consumer:
        return Consumer(QUEUE, self.amqp_url, self.url, self.clock, self.handle, first_delay_seconds=0.02)

    async def rows(self, sql: str) -> list[Any]:
        async with self.sessions() as session:
            return list((await session.execute(text(sql))).all())

    async def until(self, sql: str, expected: int, seconds: float = 20) -> None:
        found = None
        async with asyncio.timeout(seconds):
            while found != expected:
                found = (await self.rows(sql))[0][0]
                await asyncio.sleep(0.05)


async def parked_messages(connection: Any) -> list[Any]:
    deadline = asyncio.get_running_loop().time() + 10
    while asyncio.get_running_loop().time() < deadline:
        if found := [m async for m in broker.take(connection, f"{QUEUE}.dead", 10)]:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("nothing was parked")


def state(payment_id: UUID, status: PaymentStatus) -> PaymentState:
    return PaymentState(
        payment_id=payment_id,
        invoice_id=new_id(),
        user_id=new_id(),
        purpose="invoice",
        initiator="customer",
        provider="cloudpayments",
        status=status,
        amount=Money(49900),
        captured=Money(0),
        refunded=Money(0),
        created_at=NOW,
        updated_at=NOW,
    )


async def open_world(amqp_url: str) -> AsyncIterator[World]:
    """A world on this broker, its topology declared; everything it started has ended afterwards."""
    urls = await asyncio.to_thread(create_database, "pay", migrate=_migrate, variant="queue")
    async with broker.connected(amqp_url, "test") as connection:
        await broker.declare_topology(connection)
    engine = create_async_engine(urls.service.replace("postgresql://", "postgresql+asyncpg://"))
    made = World(urls, amqp_url, engine)
    yield made
    made.stop.set()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    await engine.dispose()


@pytest.fixture
async def world(new_broker: Callable[[], Broker]) -> AsyncIterator[World]:
    async for made in open_world((await asyncio.to_thread(new_broker)).amqp_url):
        yield made
