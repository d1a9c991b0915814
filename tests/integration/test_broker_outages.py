"""The broker away, under an alarm, or silent behind a dead link: everything arrives once, all the same."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.programs import account_ids, record, start_detached, stop
from deploy.local.servers import RABBITMQ_HOME, RabbitServer, wait_until
from shared.ids import new_id
from tests import servers
from tests.shared.queue_world import World, open_world

ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))


class OwnBroker:
    """A RabbitMQ of this module alone, which may be stopped."""

    def __init__(self) -> None:
        ports: list[int] = []
        while len(ports) < 4:
            ports.append(free_port(ports))
        self._run = servers.run_directory()
        self._name = f"own-rabbitmq-{ports[0]}"
        directory = self._run / self._name
        self.server = RabbitServer(directory, *ports, "own-cookie", "owner", "own-password", durable=False)
        self._pids: dict[str, int] = {}

    def prepare(self) -> None:
        self.server.prepare()
        self._begin("epmd")
        self.start()

    def start(self) -> None:
        self._begin("rabbitmq")
        wait_until(self.server.is_ready, "rabbitmq", self._run / f"{self._name}.log")

    def _begin(self, name: str) -> None:
        program = self.server.program() if name == "rabbitmq" else self.server.epmd_program()
        self._pids[name] = start_detached(program, self._run / f"{self._name}.log")
        record(self._run / f"{self._name}.pids", self._pids)

    def stop(self) -> None:
        stop(self._pids["rabbitmq"], wait_seconds=30)

    def end(self) -> None:
        for pid in reversed(self._pids.values()):
            stop(pid, wait_seconds=30)

    def control(self, *arguments: str) -> None:
        ids = account_ids(self.server.account)
        # Its own port is ten thousand above the node's by default: beyond the last port there is.
        port = str(free_port())
        ran = subprocess.run(
            [str(RABBITMQ_HOME / "rabbitmqctl"), *arguments],
            env={
                **os.environ,
                **self.server.environment,
                "HOME": str(self.server.directory),
                "RABBITMQ_CTL_DIST_PORT_MIN": port,
                "RABBITMQ_CTL_DIST_PORT_MAX": port,
            },
            check=False,
            capture_output=True,
            text=True,
            **({"user": ids[0], "group": ids[1], "extra_groups": []} if ids else {}),
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def own_broker() -> Iterator[OwnBroker]:
    made = OwnBroker()
    made.prepare()
    yield made
    made.end()


@pytest.fixture
async def own_world(own_broker: OwnBroker) -> AsyncIterator[World]:
    async for made in open_world(own_broker.server.url()):
        yield made


async def _load(world: World, until: asyncio.Event) -> int:
    """Two events of ten payments every 0.3 s until the moment comes; gives the number of events."""
    written = 0
    while not until.is_set():
        payments = [new_id() for _ in range(10)]
        for kind in ("payment.created", "payment.succeeded"):
            await world.publish(*((payment, kind) for payment in payments))
        written += 20
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await until.wait()
    return written


async def _all_applied_once(world: World, written: int) -> None:
    """Waits for the end of every event; then each has its one effect and no payment is behind."""
    await world.until("SELECT count(*) FROM inbox WHERE outcome IN ('applied', 'stale')", written, 90)
    assert (await world.rows("SELECT count(*) FROM outbox WHERE published_at IS NULL"))[0][0] == 0
    rows = await world.rows("SELECT count(*) AS n, max(sequence) AS newest FROM effect GROUP BY payment_id")
    assert len(rows) == written // 2
    assert {row.newest for row in rows} == {2}
    doubled = "SELECT count(*) - count(DISTINCT (payment_id, sequence)) FROM effect"
    assert (await world.rows(doubled))[0][0] == 0


@pytest.mark.timeout(400)
@pytest.mark.long
@pytest.mark.parametrize("away_seconds", [3, 60 * ROUNDS])
async def test_broker_stopped_under_load(
    own_broker: OwnBroker, own_world: World, away_seconds: int, figure: Callable[[str], None]
) -> None:
    world, over = own_world, asyncio.Event()
    world.start(world.relay())
    world.start(world.consumer())
    load = asyncio.create_task(_load(world, over))
    await asyncio.sleep(1)
    await asyncio.to_thread(own_broker.stop)
    await asyncio.sleep(away_seconds)
    waiting = (await world.rows("SELECT count(*) FROM outbox WHERE published_at IS NULL"))[0][0]
    assert waiting >= 20
    await asyncio.to_thread(own_broker.start)
    back_at = asyncio.get_running_loop().time()
    over.set()
    written = await load
    await _all_applied_once(world, written)
    seconds = asyncio.get_running_loop().time() - back_at
    figure(
        f"broker away {away_seconds} s: {written} events written, {waiting} waited,"
        f" all applied {seconds:.1f} s after its return"
    )


@pytest.mark.long
@pytest.mark.timeout(200)
async def test_relay_waits_out_an_alarm_and_holds_nothing(own_broker: OwnBroker, own_world: World) -> None:
    world = own_world
    world.start(world.relay())
    world.start(world.consumer())
    await world.publish((new_id(), "payment.created"))
    await world.until("SELECT count(*) FROM effect", 1)
    await asyncio.to_thread(own_broker.control, "set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        await asyncio.sleep(2)
        await world.publish(*((new_id(), "payment.created") for _ in range(20)))
        await asyncio.sleep(8)  # longer than a confirm is waited for
        assert (await world.rows("SELECT count(*) FROM outbox WHERE published_at IS NULL"))[0][0] == 20
        held = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        assert (await world.rows(f"{held} AND datname = current_database()"))[0][0] == 0
    finally:
        await asyncio.to_thread(own_broker.control, "set_vm_memory_high_watermark", "absolute", "1GB")
    await world.until("SELECT count(*) FROM effect", 21, 60)


class Link:
    """A TCP link to the broker that can be cut, or die without a word: packets vanish, nothing is closed."""

    def __init__(self, amqp_url: str) -> None:
        self._port = urlsplit(amqp_url).port or 5672
        self._own_port = free_port()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self, amqp_url: str) -> str:
        await self.listen()
        return amqp_url.replace(f":{self._port}/", f":{self._own_port}/")

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self._own_port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._port)
        self._writers |= {writer, far_writer}
        flowing = self._flowing
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._carry(source, sink, flowing))
            self._tasks.add(task)

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, flowing: asyncio.Event
    ) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                await flowing.wait()
                sink.write(data)
                await sink.drain()
            sink.close()

    def cut(self) -> None:
        """Every connection is reset and new ones are refused, as by a broker that was stopped."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def die(self) -> None:
        """Everything that is connected hears nothing any more; whoever connects anew is served."""
        self._flowing.clear()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()


async def test_broker_out_of_reach_under_load(world: World) -> None:
    """As when it is stopped, but for a moment (test_broker_stopped_under_load does it in earnest)."""
    link, over = Link(world.amqp_url), asyncio.Event()
    world.amqp_url = await link.open(world.amqp_url)
    try:
        world.start(world.relay())
        world.start(world.consumer())
        load = asyncio.create_task(_load(world, over))
        await world.until("SELECT least(count(*), 1) FROM effect", 1)
        link.cut()
        await asyncio.sleep(2)
        assert (await world.rows("SELECT count(*) FROM outbox WHERE published_at IS NULL"))[0][0] >= 20
        await link.listen()
        over.set()
        await _all_applied_once(world, await load)
        world.stop.set()
        await asyncio.gather(*world.tasks)
    finally:
        await link.close()


@pytest.mark.long
@pytest.mark.timeout(200)
async def test_half_open_connections_are_given_up(world: World) -> None:
    link = Link(world.amqp_url)
    world.amqp_url = await link.open(world.amqp_url)
    try:
        world.start(world.relay())
        world.start(world.consumer())
        await world.publish((new_id(), "payment.created"))
        await world.until("SELECT count(*) FROM effect", 1)
        link.die()
        await world.publish(*((new_id(), "payment.created") for _ in range(10)))
        await world.until("SELECT count(*) FROM effect", 11, 90)
        world.stop.set()
        await asyncio.gather(*world.tasks)
    finally:
        await link.close()
