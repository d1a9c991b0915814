"""Outbox, relay, inbox, dead letters and streams on a real Postgres and a real RabbitMQ."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from shared import tables
from shared.clock import ManualClock
from shared.errors import unavailable
from shared.ids import new_id
from shared.money import Money
from shared.queue import broker, inbox, outbox, retention, topology
from shared.queue.__main__ import _parked, dead_letters
from shared.queue.consumer import Consumer
from shared.queue.messages.base import Envelope, parse, state_of
from shared.queue.messages.payments import PaymentState, PaymentStatus
from shared.queue.outages import is_outage
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

    def __init__(self, urls: DatabaseUrls, amqp: Broker, engine: AsyncEngine) -> None:
        self.url = urls.service
        self.amqp_url = amqp.amqp_url
        self.sessions = async_sessionmaker(engine, expire_on_commit=False)
        self.stop = asyncio.Event()
        self.clock = ManualClock(NOW)
        self.poison: set[UUID] = set()
        self.tasks: list[asyncio.Task[None]] = []

    async def add(self, session: AsyncSession, payment_id: UUID, event_type: str) -> Envelope:
        status = PaymentStatus(event_type.removeprefix("payment."))
        return await outbox.add_async(
            session, "pay-api", event_type, payment_id, _state(payment_id, status), NOW
        )

    async def publish(self, *events: tuple[UUID, str]) -> None:
        async with self.sessions.begin() as session:
            for payment_id, event_type in events:
                await self.add(session, payment_id, event_type)

    async def handle(self, envelope: Envelope) -> None:
        async with self.sessions.begin() as session:
            if not await inbox.accept_async(session, QUEUE, envelope, NOW):
                return
            if envelope.aggregateid in self.poison:
                raise LookupError("no such account")
            state = state_of(envelope)
            assert isinstance(state, PaymentState)
            await session.execute(
                text("INSERT INTO effect VALUES (:id, :sequence, :status)"),
                {"id": envelope.aggregateid, "sequence": envelope.aggregatesequence, "status": state.status},
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


async def _parked_messages(connection: Any) -> list[Any]:
    deadline = asyncio.get_running_loop().time() + 10
    while asyncio.get_running_loop().time() < deadline:
        if found := [m async for m in broker.take(connection, f"{QUEUE}.dead", 10)]:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("nothing was parked")


def _state(payment_id: UUID, status: PaymentStatus) -> PaymentState:
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


@pytest.fixture
async def world(new_broker: Callable[[], Broker]) -> AsyncIterator[World]:
    urls = await asyncio.to_thread(create_database, "pay", migrate=_migrate, variant="queue")
    amqp = await asyncio.to_thread(new_broker)
    async with broker.connected(amqp.amqp_url, "test") as connection:
        await broker.declare_topology(connection)
    engine = create_async_engine(urls.service.replace("postgresql://", "postgresql+asyncpg://"))
    made = World(urls, amqp, engine)
    yield made
    made.stop.set()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    await engine.dispose()


async def test_event_travels_from_commit_to_effect_once(world: World) -> None:
    world.start(world.relay())
    world.start(world.consumer())
    payment = new_id()
    await world.publish((payment, "payment.created"), (payment, "payment.succeeded"))
    await world.until("SELECT count(*) FROM effect", 2)
    # a relay killed between publishing and marking publishes again; the inbox absorbs it
    async with world.sessions.begin() as session:
        await session.execute(text("UPDATE outbox SET published_at = NULL"))
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
    await world.publish((payment, "payment.failed"))
    await world.until("SELECT count(*) FROM effect", 3)
    assert [row.sequence for row in await world.rows("SELECT sequence FROM effect ORDER BY sequence")] == [
        1,
        2,
        3,
    ]


async def test_rolled_back_change_tells_nothing(world: World) -> None:
    session = world.sessions()
    await session.begin()
    await world.add(session, new_id(), "payment.created")
    await session.rollback()
    await session.close()
    assert (await world.rows("SELECT count(*) FROM outbox"))[0][0] == 0
    assert (await world.rows("SELECT count(*) FROM aggregate_sequence"))[0][0] == 0


async def test_older_state_after_newer_is_ignored_and_a_gap_is_not(world: World) -> None:
    payment = new_id()
    async with world.sessions.begin() as session:
        first = await world.add(session, payment, "payment.created")
        second = await world.add(session, payment, "payment.authorized")
        third = await world.add(session, payment, "payment.succeeded")
    for envelope in (first, third, second, third):
        await world.handle(envelope)
    rows = await world.rows("SELECT sequence FROM effect ORDER BY sequence")
    assert [row.sequence for row in rows] == [1, 3]
    outcomes = await world.rows("SELECT outcome FROM inbox ORDER BY aggregate_sequence")
    assert [row.outcome for row in outcomes] == ["applied", "stale", "applied"]


async def test_row_waits_while_a_service_queue_is_missing(world: World) -> None:
    async with broker.connected(world.amqp_url, "test") as connection:
        channel = await connection.channel()
        await channel.queue_delete(QUEUE)
        assert await broker.missing_queues(connection, ["payments"]) == [QUEUE]
        world.start(world.relay())
        await world.publish((new_id(), "payment.created"))
        await asyncio.sleep(1.5)
        assert (await world.rows("SELECT count(*) FROM outbox WHERE published_at IS NULL"))[0][0] == 1
        await broker.declare_topology(connection)
        await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
        async with asyncio.timeout(5):
            message = await anext(broker.take(connection, QUEUE, 1))
        assert parse(message.body).type == "payment.created"


async def test_two_relays_keep_the_order_of_each_aggregate(world: World) -> None:
    payments = [new_id() for _ in range(60)]
    kinds = [
        "payment.created",
        "payment.authorized",
        "payment.succeeded",
        "payment.refunded",
        "payment.cancelled",
    ]
    for kind in kinds:
        if kind != "payment.refunded":
            await world.publish(*((payment, kind) for payment in payments))
    for _ in range(2):
        world.start(world.relay())
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0, 30)
    seen: dict[UUID, list[int]] = defaultdict(list)
    async with broker.connected(world.amqp_url, "test") as connection:
        async for message in broker.take(connection, QUEUE, 1000):
            envelope = parse(message.body)
            seen[envelope.aggregateid].append(envelope.aggregatesequence)
    assert len(seen) == 60
    for sequences in seen.values():
        first_seen = list(dict.fromkeys(sequences))
        assert first_seen == [1, 2, 3, 4]


async def test_poison_is_parked_with_its_reason_and_others_flow(world: World) -> None:
    bad = [new_id() for _ in range(4)]
    good = [new_id() for _ in range(40)]
    world.poison.update(bad)
    world.start(world.relay())
    world.start(world.consumer())
    await world.publish(*((payment, "payment.created") for payment in bad + good))
    await world.until("SELECT count(*) FROM effect", 40)
    await world.until("SELECT count(*) FROM inbox WHERE outcome = 'parked'", 4)
    rows = await world.rows("SELECT attempts, last_error FROM inbox WHERE outcome = 'parked'")
    assert {(row.attempts, row.last_error) for row in rows} == {(5, "LookupError: no such account")}
    async with broker.connected(world.amqp_url, "test") as connection:
        parked = [_parked(m) async for m in broker.take(connection, f"{QUEUE}.dead", 100)]
    assert len(parked) == 4
    assert {p["reason"] for p in parked} == {"LookupError: no such account"}
    assert {p["attempts"] for p in parked} == {"5"}


async def test_redriven_messages_take_effect(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = new_id()
    world.poison.add(bad)
    world.start(world.relay())
    world.start(world.consumer())
    await world.publish((bad, "payment.created"))
    await world.until("SELECT count(*) FROM inbox WHERE outcome = 'parked'", 1)
    world.poison.clear()
    monkeypatch.setenv("AMQP_URL", world.amqp_url)
    await dead_letters("redrive", QUEUE, 10)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["subject"] == f"payment/{bad}"
    await world.until("SELECT count(*) FROM effect", 1)
    async with broker.connected(world.amqp_url, "test") as connection:
        assert [m async for m in broker.take(connection, f"{QUEUE}.dead", 10)] == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{not json", "unreadable"),
        (b"[]", "unreadable"),
        (json.dumps({"specversion": "1.0"}).encode(), "unreadable"),
    ],
)
async def test_unreadable_message_is_kept_not_dropped(world: World, body: bytes, reason: str) -> None:
    world.start(world.consumer())
    async with broker.connected(world.amqp_url, "test") as connection:
        publisher = await broker.Publisher.open(connection)
        await publisher.publish("payments", "payment.created", body, message_id="x")
        parked = await _parked_messages(connection)
    assert parked[0].body == body
    assert str((parked[0].headers or {})["x-reason"]).startswith(reason)


async def test_unknown_major_version_is_parked(world: World) -> None:
    async with world.sessions.begin() as session:
        envelope = await world.add(session, new_id(), "payment.created")
        await session.rollback()
    body = envelope.to_json() | {"dataschema": "/schemas/payment.created/v2"}
    world.start(world.consumer())
    async with broker.connected(world.amqp_url, "test") as connection:
        publisher = await broker.Publisher.open(connection)
        await publisher.publish("payments", "payment.created", json.dumps(body).encode(), message_id="x")
        assert len(await _parked_messages(connection)) == 1


async def test_unroutable_publish_is_an_error(world: World) -> None:
    async with broker.connected(world.amqp_url, "test") as connection:
        publisher = await broker.Publisher.open(connection)
        with pytest.raises(broker.NotDelivered):
            await publisher.publish("", "no-such-queue", b"{}", message_id="x")


async def test_stream_can_be_read_again_from_its_start(world: World) -> None:
    world.start(world.relay())
    payment = new_id()
    await world.publish((payment, "payment.created"), (payment, "payment.succeeded"))
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0)
    for _ in range(2):
        types = []
        async with broker.connected(world.amqp_url, "test") as connection, asyncio.timeout(10):
            async for message in broker.read_stream(connection, "data-bus.payments", "first"):
                types.append(parse(message.body).type)
                if len(types) == 2:
                    break
        assert types == ["payment.created", "payment.succeeded"]


async def test_relay_fences_a_lease_it_slept_over(world: World) -> None:
    from shared.queue.relay import CLAIM_SQL, MARK_SQL

    await world.publish((new_id(), "payment.created"))
    connection = await asyncpg.connect(world.url)
    slept, woken = new_id(), new_id()
    rows = await connection.fetch(CLAIM_SQL, slept, 10, 30)
    assert len(rows) == 1
    assert await connection.fetch(CLAIM_SQL, woken, 10, 30) == []
    await connection.execute("UPDATE outbox SET leased_until = clock_timestamp() - interval '1 s'")
    assert len(await connection.fetch(CLAIM_SQL, woken, 10, 30)) == 1
    assert await connection.execute(MARK_SQL, [rows[0]["id"]], slept) == "UPDATE 0"
    assert await connection.execute(MARK_SQL, [rows[0]["id"]], woken) == "UPDATE 1"
    await connection.close()


def test_envelope_is_a_cloudevent_to_an_independent_library() -> None:
    from cloudevents.core.bindings.http import HTTPMessage, from_http
    from cloudevents.core.formats.json import JSONFormat

    payment = new_id()
    state = _state(payment, PaymentStatus.SUCCEEDED)
    envelope = outbox.build_envelope("pay-api", "payment.succeeded", payment, 7, state, NOW)
    headers = {"content-type": broker.CONTENT_TYPE}
    event = from_http(
        HTTPMessage(headers=headers, body=json.dumps(envelope.to_json()).encode()), JSONFormat()
    )
    assert event.get_type() == "payment.succeeded"
    assert event.get_extension("aggregatesequence") == 7
    assert event.get_time() == NOW


def test_every_bound_queue_has_a_dead_letter_queue_and_limits() -> None:
    for queue in topology.QUEUES:
        arguments = queue.arguments()
        assert arguments["x-delivery-limit"] == topology.DELIVERY_LIMIT
        assert arguments["x-dead-letter-strategy"] == "at-least-once"
        assert arguments["x-overflow"] == "reject-publish"
    assert topology.bound_to("payments") == ["billing.payments", "users.payments", "data-bus.payments"]


async def test_old_rows_are_purged_and_young_ones_kept(world: World) -> None:
    await world.publish(*((new_id(), "payment.created") for _ in range(5)))
    connection = await asyncpg.connect(world.url)
    await connection.execute("UPDATE outbox SET published_at = clock_timestamp() - interval '13 days'")
    await connection.execute(
        "UPDATE outbox SET published_at = $1 WHERE id < (SELECT max(id) FROM outbox)",
        datetime.now(UTC) - timedelta(days=15),
    )
    kept = "INSERT INTO inbox SELECT 'q', gen_random_uuid(), 't', 'a', gen_random_uuid(), 1, $1, 1, NULL, $2"
    for outcome, days in (("applied", 61), ("stale", 61), ("applied", 59), ("parked", 61)):
        await connection.execute(kept, outcome, datetime.now(UTC) - timedelta(days=days))
    key = (
        "INSERT INTO idempotency_key (id, caller, method, path_template, key, request_hash, created_at)"
        " VALUES (gen_random_uuid(), 'c', 'POST', '/', $1, '', $2)"
    )
    for name, days in (("old", 8), ("young", 6)):
        await connection.execute(key, name, datetime.now(UTC) - timedelta(days=days))
    await retention.purge(connection, batch=2)
    assert await connection.fetchval("SELECT count(*) FROM outbox") == 1
    rows = await connection.fetch("SELECT outcome FROM inbox ORDER BY outcome")
    assert [row["outcome"] for row in rows] == ["applied", "parked"]
    assert await connection.fetchval("SELECT string_agg(key, ',') FROM idempotency_key") == "young"
    await connection.close()


def test_lock_timeout_is_no_outage_and_a_refused_connection_is() -> None:
    class OperationalError(Exception):
        pgcode: str | None = None

    class LockNotAvailable(OperationalError):
        pgcode = "55P03"

    def raised(outer: Exception, inner: Exception) -> Exception:
        try:
            try:
                raise inner
            except Exception as cause:
                raise outer from cause
        except Exception as error:
            return error

    # Django wraps the driver's error in one of its own that carries no SQLSTATE.
    assert not is_outage(raised(OperationalError(), LockNotAvailable()))
    assert is_outage(raised(OperationalError(), OperationalError()))

    class AdminShutdown(OperationalError):
        pgcode = "57P01"

    assert is_outage(raised(OperationalError(), AdminShutdown()))
    assert is_outage(ConnectionRefusedError())
    assert is_outage(unavailable("catalog-catching-up"))
    assert not is_outage(LookupError("no such account"))
