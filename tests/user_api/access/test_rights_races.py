"""R13: whoever fills the cache late never overwrites what was put there since."""

from __future__ import annotations

import asyncio
import json
import os
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.ids import new_id
from tests.user_api.access.conftest import PATIENCE_SECONDS
from user_api.cache import RightsKeys
from user_api.resources import Resources
from user_api.rights_cache import RightsCache
from user_api.user_service.access import Right
from user_api.user_service.rights_store import lock_version, replace_rights

RACES = 200
MANY = 1000 * int(os.environ.get("TEST_ROUNDS", "1"))
SOURCE = "subscription:race"


async def set_right(resources: Resources, user_id: UUID, granted: bool) -> None:
    """A change of rights, committed; Redis is not told yet."""
    now = resources.clock.now()
    rights = frozenset({Right("feature:uhd", now + timedelta(days=1), SOURCE)} if granted else ())
    async with resources.sessions.begin() as session:
        version = await lock_version(session, user_id, now)
        await replace_rights(session, version, {SOURCE: rights}, now)


@dataclass
class Gate:
    """The worst order: loaded before the revocation, stored after it."""

    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    revoked: asyncio.Event = field(default_factory=asyncio.Event)


def late(cache: RightsCache, luck: random.Random, gates: dict[UUID, Gate]) -> RightsCache:
    """Between loading and storing this process is held up: for a while, or till the gate opens."""
    load = cache._load

    async def slow(user_id: UUID) -> Any:
        loaded = await load(user_id)
        gate = gates.get(user_id)
        if gate is None:
            await asyncio.sleep(luck.random() * 0.02)
        else:
            gate.loaded.set()
            await gate.revoked.wait()
        return loaded

    cache._load = slow  # type: ignore[method-assign]
    return cache


async def race(
    resources: Resources, reader: RightsCache, user_id: UUID, luck: random.Random, gate: Gate | None
) -> bool:
    """A right is revoked while another process fills the cache; whether Redis then holds the old state."""
    await set_right(resources, user_id, True)
    await resources.cache_redis.delete(RightsKeys.of_user(user_id))

    async def revoke() -> None:
        if gate is None:
            await asyncio.sleep(luck.random() * 0.01)
        else:
            await gate.loaded.wait()
        await set_right(resources, user_id, False)
        await resources.rights.refresh([user_id])
        if gate is not None:
            gate.revoked.set()

    await asyncio.gather(reader.check(user_id, "feature:uhd"), revoke())
    held = await resources.cache_redis.get(RightsKeys.of_user(user_id))
    assert held is not None
    is_stale = bool(json.loads(held)["rights"])
    answer = await resources.rights.check(user_id, "feature:uhd")
    assert answer.granted is is_stale
    return is_stale


async def run(resources: Resources, reader: RightsCache, races: int, seed: int) -> int:
    """How many of the races left an old state; every other one goes in the worst order."""
    luck, gates = random.Random(seed), dict[UUID, Gate]()
    late(reader, luck, gates)
    stale = 0
    for begin in range(0, races, 10):
        users = [new_id() for _ in range(min(10, races - begin))]
        gates.update({user: Gate() for user in users[::2]})
        together = (race(resources, reader, user, luck, gates.get(user)) for user in users)
        stale += sum(await asyncio.gather(*together))
    return stale


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_in_a_thousand_races_no_revoked_right_comes_back(patient: Resources) -> None:
    reader = RightsCache(patient.cache_redis, patient.sessions, patient.clock, PATIENCE_SECONDS)
    assert await run(patient, reader, MANY, 1313) == 0


async def test_a_late_fill_never_brings_a_revoked_right_back(patient: Resources) -> None:
    reader = RightsCache(patient.cache_redis, patient.sessions, patient.clock, PATIENCE_SECONDS)
    assert await run(patient, reader, RACES, 13) == 0


async def test_without_versions_these_races_do_bring_it_back(patient: Resources) -> None:
    """What the test above is worth: a plain SET in the reader's place fails it."""
    reader = RightsCache(patient.cache_redis, patient.sessions, patient.clock, PATIENCE_SECONDS)

    async def plain_set(keys: list[str], arguments: list[Any]) -> int:
        await patient.cache_redis.set(keys[0], arguments[1], ex=arguments[2])
        return 1

    reader._store = plain_set  # type: ignore[assignment]
    assert await run(patient, reader, 40, 13) >= 20
