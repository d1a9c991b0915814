"""K12-K16: a process of the data bus is killed at each point and started again; each effect is there once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.failpoints import SETTING, FailpointReached, configured, failpoint
from shared.ids import new_id
from shared.queue import broker
from tests.shared.queue_world import QUEUE, World

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))
POINTS = {
    "K12": "relay.after_claim_before_publish",
    "K13": "relay.after_publish_before_mark",
    "K14": "consumer.after_receive",
    "K15": "consumer.in_tx_before_commit",
    "K16": "consumer.after_commit_before_ack",
}
KINDS = ("payment.created", "payment.authorized", "payment.succeeded")


async def start(world: World, points: str) -> asyncio.subprocess.Process:
    environment = os.environ | {"DATABASE_URL": world.url, "AMQP_URL": world.amqp_url, "APP_ENV": "test"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.bus_process", cwd=ROOT, env=environment | {SETTING: points}
    )


async def kill_and_recover(world: World, name: str, passage: int) -> str:
    """20 payments of one event and 10 of three; the process dies at the given passage of the point.

    Gives what was seen, for people.
    """
    payments = [new_id() for _ in range(30)]
    await world.publish(*((payment, KINDS[0]) for payment in payments))
    for kind in KINDS[1:]:
        await world.publish(*((payment, kind) for payment in payments[:10]))
    dying = await start(world, f"{name}=kill@{passage}")
    try:
        assert await asyncio.wait_for(dying.wait(), 30) == -signal.SIGKILL
    finally:
        if dying.returncode is None:
            dying.kill()
    applied = (await world.rows("SELECT count(*) FROM effect"))[0][0]
    assert applied < 50, "it died before it had done everything"
    again = await start(world, "")
    try:
        await world.until("SELECT count(*) FROM inbox WHERE outcome IN ('applied', 'stale')", 50, 40)
        await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0, 10)
        again.terminate()
        assert await asyncio.wait_for(again.wait(), 20) == 0
    finally:
        if again.returncode is None:
            again.kill()
    rows = await world.rows("SELECT payment_id, sequence, count(*) AS n FROM effect GROUP BY 1, 2")
    assert {row.n for row in rows} == {1}
    newest = {row.payment_id: max(r.sequence for r in rows if r.payment_id == row.payment_id) for row in rows}
    assert newest == {payment: 3 if payment in payments[:10] else 1 for payment in payments}
    async with broker.connected(world.amqp_url, "test") as connection:
        assert [m async for m in broker.take(connection, QUEUE, 10)] == []
        assert [m async for m in broker.take(connection, f"{QUEUE}.dead", 10)] == []
    return (
        f"kill -9 at {name}, passage {passage}: {applied} of 50 events applied before, each once in the end"
    )


@pytest.mark.parametrize("name", POINTS.values(), ids=POINTS)
async def test_a_kill_loses_and_doubles_no_effect(
    world: World, name: str, figure: Callable[[str], None]
) -> None:
    figure(await kill_and_recover(world, name, 2 if name.startswith("relay") else 7))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("number", range(3 * ROUNDS))
async def test_kills_at_any_passage(
    world: World, name: str, number: int, figure: Callable[[str], None]
) -> None:
    figure(await kill_and_recover(world, name, random.randint(1, 4 if name.startswith("relay") else 29)))


def test_a_fail_point_acts_in_tests_only_and_from_its_passage_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "here=raise@2, there=raise")
    for mode in ("development", "production"):
        monkeypatch.setenv("APP_ENV", mode)
        failpoint("there")
        assert configured()
    monkeypatch.setenv("APP_ENV", "test")
    failpoint("here")
    failpoint("elsewhere")
    with pytest.raises(FailpointReached, match="here"):
        failpoint("here")
    monkeypatch.setenv(SETTING, "here=explode")
    with pytest.raises(ValueError, match="explode"):
        failpoint("here")
    monkeypatch.delenv(SETTING)
    failpoint("here")
    assert not configured()
