"""A process paused while it holds a lease or a message: others go on, and it doubles nothing afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from uuid import UUID

import pytest

from shared.ids import new_id
from tests.integration.test_kill_points import POINTS, start
from tests.shared.queue_world import World

KINDS = ("payment.created", "payment.authorized", "payment.succeeded", "payment.cancelled")
PAYMENTS = 20


def is_frozen(pid: int) -> bool:
    """Whether the kernel says that the process is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


async def freeze(world: World, name: str) -> asyncio.subprocess.Process:
    """A process of the data bus that has stopped at this place."""
    process = await start(world, f"{name}=freeze@{2 if name.startswith('relay') else 7}")
    for _ in range(600):
        if is_frozen(process.pid):
            return process
        await asyncio.sleep(0.05)
    process.kill()
    raise AssertionError(f"{name} was never reached")


async def settled(world: World) -> dict[UUID, object]:
    """Waits for every event's end; gives when each row was marked as published."""
    events = PAYMENTS * len(KINDS)
    await world.until("SELECT count(*) FROM inbox WHERE outcome IN ('applied', 'stale')", events, 60)
    await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0, 30)
    return {row.event_id: row.published_at for row in await world.rows("SELECT * FROM outbox")}


# A relay that sleeps on its lease and a consumer within its transaction, always; the rest at length.
ALWAYS = {"K13", "K15"}
PAUSES = [
    pytest.param(name, seconds, id=f"{point}-{seconds}", marks=marks)
    for point, name in POINTS.items()
    for seconds in (3, 30)
    for marks in [() if point in ALWAYS and seconds == 3 else pytest.mark.long]
]


@pytest.mark.timeout(200)
@pytest.mark.parametrize(("name", "seconds"), PAUSES)
async def test_a_paused_process_changes_nothing_when_it_wakes(world: World, name: str, seconds: int) -> None:
    """3 s is longer than the lease; after 30 s the broker has given the connection up, too."""
    payments = [new_id() for _ in range(PAYMENTS)]
    for kind in KINDS[:2]:
        await world.publish(*((payment, kind) for payment in payments))
    paused = await freeze(world, name)
    other = await start(world, "")
    try:
        for kind in KINDS[2:]:
            await world.publish(*((payment, kind) for payment in payments))
        await asyncio.sleep(seconds)
        if name.startswith("relay"):  # all went out without the one that sleeps on its lease
            await world.until("SELECT count(*) FROM outbox WHERE published_at IS NULL", 0, 30)
            marked = {row.event_id: row.published_at for row in await world.rows("SELECT * FROM outbox")}
        os.kill(paused.pid, signal.SIGCONT)
        after = await settled(world)
        await asyncio.sleep(2)  # the woken one publishes and marks what it had claimed
        if name.startswith("relay"):
            assert after == marked
            assert (await settled(world)) == marked
        for process in (paused, other):
            assert process.returncode is None, "it must go on after its pause"
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 40) == 0
    finally:
        for process in (paused, other):
            if process.returncode is None:
                process.kill()
                await process.wait()
    rows = await world.rows("SELECT payment_id, sequence, count(*) AS n FROM effect GROUP BY 1, 2")
    assert {row.n for row in rows} == {1}
    newest = {row.payment_id: max(r.sequence for r in rows if r.payment_id == row.payment_id) for row in rows}
    assert newest == dict.fromkeys(payments, len(KINDS))
