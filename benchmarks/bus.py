"""How far the data bus is from its parts alone: ``python -m benchmarks.bus [report.json]``.

Latency, at 200 events a second: from a transaction's commit (as its writer sees it) to the event in a
consumer's hands, beside the wake-up by NOTIFY plus a publication to its delivery. Drain: a backlog of 50,000
outbox rows, beside publishing as many equal messages with 1,000 confirms awaited. Both sides use the whole
topology of the exchange ``payments`` (two quorum queues and a stream), the same servers, in turns.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aio_pika
import asyncpg

from benchmarks import bus_world
from benchmarks.bus_world import EVENT, EXCHANGE, INSERT_SQL, World
from shared.ids import new_id
from shared.queue import broker
from tests import servers

LATENCY_BOUND, DRAIN_BOUND = 1.25, 0.6
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
BACKLOG = int(os.environ.get("BENCH_BACKLOG", "50000"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
PER_SECOND = 200
WINDOW = 1000


async def paced(work: Callable[[int], Awaitable[None]], seconds: float = SECONDS) -> None:
    """Begins ``work`` 200 times a second, come what may."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(PER_SECOND * seconds)):
            if (rest := began + number / PER_SECOND - time.perf_counter()) > 0:
                await asyncio.sleep(rest)
            group.create_task(work(number))


def _p50_ms(began: dict[str, int], ended: dict[str, int]) -> float:
    missing = [name for name in began if name not in ended]
    assert not missing, f"{len(missing)} of {len(began)} never came"
    return statistics.median((ended[name] - at) / 1e6 for name, at in began.items())


async def _until(count: Callable[[], int], expected: int) -> None:
    async with asyncio.timeout(30):
        while count() < expected:  # noqa: ASYNC110 - three different things are waited for
            await asyncio.sleep(0.01)


async def notify_ms(world: World) -> float:
    """From the commit of a row to the wake-up of a listener by NOTIFY."""
    committed: dict[str, int] = {}
    woken: dict[str, int] = {}
    listener = await asyncpg.connect(world.database_url)
    await listener.add_listener("bench", lambda *args: woken.setdefault(args[3], time.monotonic_ns()))
    async with asyncpg.create_pool(world.database_url, min_size=8, max_size=8) as pool:

        async def commit(number: int) -> None:
            async with pool.acquire() as connection:
                async with connection.transaction():
                    await connection.execute(
                        "INSERT INTO aggregate_sequence VALUES ('bench', $1, 1)", new_id()
                    )
                    await connection.execute("SELECT pg_notify('bench', $1)", str(number))
                committed[str(number)] = time.monotonic_ns()

        await paced(commit)
        await _until(lambda: len(woken), len(committed))
    await listener.close()
    return _p50_ms(committed, woken)


def _message(number: int, body: bytes) -> aio_pika.Message:
    persistent = aio_pika.DeliveryMode.PERSISTENT
    return aio_pika.Message(body, delivery_mode=persistent, message_id=str(number))


async def publish_ms(world: World) -> float:
    """From a publication to its delivery."""
    sent: dict[str, int] = {}
    arrived: dict[str, int] = {}
    body = str(bus_world.row()[2]).encode()
    async with (
        bus_world.consuming(world, arrived),
        broker.connected(world.amqp_url, "benchmark-publisher") as connection,
    ):
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)

        async def publish(number: int) -> None:
            message = _message(number, body)
            sent[str(number)] = time.monotonic_ns()
            await exchange.publish(message, EVENT)

        await paced(publish)
        await _until(lambda: len(arrived), len(sent))
    return _p50_ms(sent, arrived)


async def commit_to_hands_ms(world: World) -> float:
    """From the commit of an outbox row to the event in a consumer's hands, over the relay."""
    committed: dict[str, int] = {}
    arrived: dict[str, int] = {}
    async with (
        bus_world.consuming(world, arrived),
        asyncpg.create_pool(world.database_url, min_size=8, max_size=8) as pool,
    ):
        rows = [bus_world.row() for _ in range(int(PER_SECOND * (SECONDS + 1)))]

        async def commit(_: int) -> None:
            row = rows.pop()
            await pool.execute(INSERT_SQL, *row)
            committed[str(row[0])] = time.monotonic_ns()

        await paced(commit, 0.5)  # the relay is at work from here on
        await _until(lambda: len(arrived), len(committed))
        committed.clear()
        await paced(commit)
        await _until(lambda: sum(name in arrived for name in committed), len(committed))
    return _p50_ms(committed, arrived)


async def latency_round(world: World) -> tuple[float, float, float]:
    """NOTIFY, publication, and the whole way, each p50 in ms."""
    notify = await notify_ms(world)
    publication = await publish_ms(world)
    with bus_world.relaying(world):
        whole = await commit_to_hands_ms(world)
    await bus_world.purge(world)
    return notify, publication, whole


async def drain_per_second(world: World) -> float:
    """Rows a second from the relay's start until the last of the backlog is marked as published."""
    database = await asyncpg.connect(world.database_url)
    await database.execute("DELETE FROM outbox")
    written = [bus_world.row() for _ in range(500)]
    rows = [
        ("payments", EVENT, "payment", 1, new_id(), new_id(), *written[number % len(written)][2:])
        for number in range(BACKLOG)
    ]
    columns = ["exchange", "event_type", "aggregate_type", "aggregate_sequence"]
    columns += ["event_id", "aggregate_id", "envelope", "created_at"]
    await database.copy_records_to_table("outbox", records=rows, columns=columns)
    with bus_world.relaying(world):
        began = await _when(database, "EXISTS (SELECT FROM outbox WHERE published_at IS NOT NULL)", 0.005)
        ended = await _when(database, "NOT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)", 0.1)
    await database.close()
    return BACKLOG / (ended - began)


async def _when(database: asyncpg.Connection, condition: str, every_seconds: float) -> float:
    """The moment the condition has come true; asked seldom, for the answer costs the database, too."""
    while not await database.fetchval(f"SELECT {condition}"):  # noqa: ASYNC110 - the database does not call back
        await asyncio.sleep(every_seconds)
    return time.perf_counter()


async def bare_per_second(world: World) -> float:
    """Equal messages a second with 1,000 confirms awaited."""
    bodies = [str(bus_world.row()[2]).encode() for _ in range(200)]
    async with broker.connected(world.amqp_url, "benchmark-publisher") as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)
        window = asyncio.Semaphore(WINDOW)

        async def publish(number: int) -> None:
            try:
                await exchange.publish(_message(number, bodies[number % len(bodies)]), EVENT)
            finally:
                window.release()

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(BACKLOG):
                await window.acquire()
                group.create_task(publish(number))
        return BACKLOG / (time.perf_counter() - began)


async def drain_round(world: World) -> tuple[float, float]:
    bare = await bare_per_second(world)
    await bus_world.purge(world)
    ours = await drain_per_second(world)
    await bus_world.purge(world)
    return bare, ours


def _latency(rounds: list[tuple[float, float, float]]) -> dict[str, object]:
    ratio = statistics.median(whole / (notify + publication) for notify, publication, whole in rounds)
    notify, publication, whole = (round(statistics.median(column), 2) for column in zip(*rounds, strict=True))
    return {
        "figure": "commit to consumer's hands, p50",
        "ours": whole,
        "beside": round(notify + publication, 2),
        "parts": {"notify": notify, "publish_to_deliver": publication},
        "unit": "ms",
        "ratio": round(ratio, 3),
        "bound": LATENCY_BOUND,
        "holds": ratio <= LATENCY_BOUND,
    }


def _drain(rounds: list[tuple[float, float]]) -> dict[str, object]:
    ratio = statistics.median(ours / bare for bare, ours in rounds)
    bare, ours = (round(statistics.median(column)) for column in zip(*rounds, strict=True))
    return {
        "figure": f"drain of {BACKLOG} outbox rows",
        "ours": ours,
        "beside": bare,
        "unit": "rows/s",
        "ratio": round(ratio, 3),
        "bound": DRAIN_BOUND,
        "holds": ratio >= DRAIN_BOUND,
    }


async def _measure(world: World) -> list[dict[str, object]]:
    latencies, drains = [], []
    for _ in range(ROUNDS):
        latencies.append(await latency_round(world))
        drains.append(await drain_round(world))
    return [_latency(latencies), _drain(drains)]


def main() -> int:
    run = servers.open_run()
    try:
        figures = asyncio.run(_measure(bus_world.build()))
    finally:
        servers.close_run(run)
    print(f"{'':34} {'ours':>9} {'beside':>9} {'unit':7} {'ratio':>6}  bound")
    for figure in figures:
        sign = "<=" if figure["bound"] == LATENCY_BOUND else ">="
        verdict = "holds" if figure["holds"] else "MISSED"
        print(
            f"{figure['figure']:34} {figure['ours']:>9} {figure['beside']:>9} {figure['unit']:7} "
            f"{figure['ratio']:>6}  {sign} {figure['bound']}: {verdict}"
        )
    report = {"bus": figures, "rounds": ROUNDS, "load": os.getloadavg()}
    print(json.dumps(report))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(figure["holds"] for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
