"""``python -m benchmarks.access``: figures of access checks, each with its bound, ratios within one run.

One worker, medians of three interleaved rounds; a table, then the same as JSON; exit code 1 when a bound is
missed. What needs a whole stack (a billing run meanwhile, a purchase end to end) is in benchmarks/stack.py.
Measure on a quiet machine: Redis has 50 ms to answer, and a process that waits for a processor misses them.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import asyncpg
import uvloop
from redis.asyncio import Redis

from benchmarks import access_world, load
from benchmarks.access_world import GRANTED, OPERATOR, Server, World
from benchmarks.figures import Figure, tell
from tests import servers
from user_api.rights_cache import LOAD_SQL

ROUNDS: Final = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS: Final = float(os.environ.get("BENCH_SECONDS", "4"))
CONNECTIONS: Final = 64
PEOPLE: Final = 200
PATH: Final = f"/v1/me/access-rights/{GRANTED}"
SQL: Final = LOAD_SQL.replace(":user_id", "$1").replace(":ended_after", "$2")


async def hit(api: Server, bare: Server, world: World) -> dict[str, float]:
    """A verified token and a hit against the bare route; by the wall clock and by the server's CPU."""
    found: dict[str, float] = {}
    hits = [load.get(PATH, token) for token in world.tokens[:PEOPLE]]
    bares = [load.get(f"/bare/{number}") for number in range(PEOPLE)]
    for name, server, requests in (("hit", api, hits), ("bare", bare, bares)):
        await load.closed_loop(server.port, requests, CONNECTIONS, 0.5)
        before = server.cpu_seconds()
        seen = await load.closed_loop(server.port, requests, CONNECTIONS, SECONDS)
        assert set(seen.statuses) == {200}, seen.statuses
        found[f"{name}_per_second"] = seen.per_second
        found[f"{name}_p99_ms"] = seen.quantile_ms(0.99)
        found[f"{name}_cpu_us"] = (server.cpu_seconds() - before) / len(seen.seconds) * 1e6
    found["hit_to_bare"] = found["hit_per_second"] / found["bare_per_second"]
    found["hit_to_bare_by_cpu"] = found["bare_cpu_us"] / found["hit_cpu_us"]
    return found


async def miss(api: Server, world: World, redis: Redis) -> dict[str, float]:
    """A miss, one after another, against the one SQL statement it needs."""
    await redis.flushdb()
    seen = await load.one_by_one(api.port, [load.get(PATH, token) for token in world.tokens[-PEOPLE:]])
    connection = await asyncpg.connect(world.database.service)
    statement = await connection.prepare(SQL.replace("$1", "$1::uuid").replace("$2", "$2::timestamptz"))
    took = []
    for user in world.users[-PEOPLE:]:
        began = time.perf_counter()
        await statement.fetchrow(user, _ago())
        took.append(time.perf_counter() - began)
    await connection.close()
    sql_ms = statistics.median(took) * 1000
    return {
        "miss_p50_ms": seen.quantile_ms(0.5),
        "sql_p50_ms": sql_ms,
        "miss_to_sql": seen.quantile_ms(0.5) / sql_ms,
    }


def _ago() -> Any:
    from datetime import UTC, datetime, timedelta

    return datetime.now(UTC) - timedelta(minutes=11)


async def batch(api: Server, world: World) -> dict[str, float]:
    """100 checks of 100 users in one call against one check."""
    checks = [{"user_id": str(user), "resource": GRANTED} for user in world.users[:100]]
    request = load.post("/internal/v1/access-checks", json.dumps({"checks": checks}).encode(), OPERATOR)
    many = await load.one_by_one(api.port, [request] * 30)
    one = await load.one_by_one(api.port, [load.get(PATH, token) for token in world.tokens[:100]])
    assert set(many.statuses) == {200}, many.statuses
    return {
        "batch_p50_ms": many.quantile_ms(0.5),
        "single_p50_ms": one.quantile_ms(0.5),
        "batch_of_100_to_single": many.quantile_ms(0.5) / one.quantile_ms(0.5),
    }


async def steady(api: Server, world: World) -> dict[str, float]:
    """200 requests a second, whatever becomes of the earlier ones."""
    requests = [load.get(PATH, token) for token in world.tokens[:PEOPLE]]
    seen = await load.open_loop(api.port, lambda number: requests[number % PEOPLE], 200, SECONDS)
    return {"at_200_rps_p50_ms": seen.quantile_ms(0.5), "at_200_rps_p99_ms": seen.quantile_ms(0.99)}


async def without_redis(api: Server, world: World) -> dict[str, float]:
    """The cache's Redis answers nobody: half of the checks are for what nobody has."""
    path = f"/v1/me/access-rights/{access_world.REFUSED}"
    refused = [load.get(path, token) for token in world.tokens[:PEOPLE]]
    granted = [load.get(PATH, token) for token in world.tokens[:PEOPLE]]
    both = [request for pair in zip(refused, granted, strict=True) for request in pair]
    # The database's connections are open, as misses keep them in a process that has been running.
    await load.open_loop(api.port, lambda number: both[number % len(both)], 50, 2)
    seen = await load.open_loop(api.port, lambda number: both[number % len(both)], 200, SECONDS)
    asked = len(seen.seconds) // 2
    return {
        "redis_stopped_p99_ms": seen.quantile_ms(0.99),
        "redis_stopped_false_grants": max(0, seen.granted - asked),
        "redis_stopped_not_200": sum(n for status, n in seen.statuses.items() if status != 200),
    }


async def measure(folder: Path) -> dict[str, float]:
    world = await access_world.prepare(folder)
    redis = Redis.from_url(world.redis_url)
    variables = access_world.environment(world, world.redis_url)
    gone = f"redis://127.0.0.1:{servers.free_port()}/0"
    rounds: list[dict[str, float]] = []
    with (
        access_world.served("user_api.main:create_app", variables, "/healthz") as api,
        access_world.served("benchmarks.bare_route:create_app", variables, "/bare/1") as bare,
        access_world.served(
            "user_api.main:create_app", access_world.environment(world, gone), "/healthz"
        ) as cut_off,
    ):
        for _ in range(ROUNDS):
            found = await miss(api, world, redis)
            for number in range(PEOPLE):
                await redis.set(f"bench:{number}", "x" * 300)
            found |= await hit(api, bare, world)
            found |= await batch(api, world)
            found |= await steady(api, world)
            found |= await without_redis(cut_off, world)
            rounds.append(found)
    await redis.aclose()
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def figures(found: dict[str, float]) -> list[Figure]:
    """What was found, under its name, with what it must hold."""
    return [
        Figure("access check, Redis hit, requests/s to bare route", found["hit_to_bare"], "x", at_least=3.0),
        Figure("the same by the server's CPU time", found["hit_to_bare_by_cpu"], "x"),
        Figure("access check, Redis hit", found["hit_per_second"], "1/s"),
        Figure("access check, Redis hit, CPU", found["hit_cpu_us"], "us"),
        Figure("bare route", found["bare_per_second"], "1/s"),
        Figure("bare route, CPU", found["bare_cpu_us"], "us"),
        Figure("cold miss, p50", found["miss_p50_ms"], "ms", at_most=10),
        Figure("its one SQL statement alone, p50", found["sql_p50_ms"], "ms"),
        Figure("cold miss to its SQL", found["miss_to_sql"], "x", at_most=30),
        Figure("batch of 100 checks, p50", found["batch_p50_ms"], "ms"),
        Figure("batch of 100 to a single check", found["batch_of_100_to_single"], "x", at_most=20),
        Figure("200 rps, p50", found["at_200_rps_p50_ms"], "ms"),
        Figure("200 rps, p99", found["at_200_rps_p99_ms"], "ms", at_most=50),
        Figure("Redis away, 200 rps, p99", found["redis_stopped_p99_ms"], "ms", at_most=150),
        Figure("Redis away, false grants", found["redis_stopped_false_grants"], "", at_most=0),
        Figure("Redis away, answers other than 200", found["redis_stopped_not_200"], "", at_most=0),
    ]


def main() -> int:
    run = servers.open_run()
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = uvloop.run(measure(Path(folder)))
    finally:
        servers.close_run(run)
    print(f"medians of {ROUNDS} rounds; 1-minute load of the machine {os.getloadavg()[0]:.1f}")
    return tell(figures(found))


if __name__ == "__main__":
    sys.exit(main())
