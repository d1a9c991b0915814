"""R13: whoever fills the cache late never overwrites what was put there since, in 1,000 races."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.ids import new_id
from user_api.cache import RightsKeys
from user_api.resources import Resources
from user_api.rights_cache import RightsCache
from user_api.user_service.access import Right
from user_api.user_service.rights_store import lock_version, replace_rights

RACES = 1000
SOURCE = "subscription:race"


async def set_right(resources: Resources, user_id: UUID, granted: bool) -> None:
    """A change of rights, committed; Redis is not told yet."""
    now = resources.clock.now()
    rights = frozenset({Right("feature:uhd", now + timedelta(days=1), SOURCE)} if granted else ())
    async with resources.sessions.begin() as session:
        version = await lock_version(session, user_id, now)
        await replace_rights(session, version, {SOURCE: rights}, now)


def late(cache: RightsCache, luck: random.Random) -> RightsCache:
    """Between loading and storing this process is held up for a while."""
    load = cache._load

    async def slow(user_id: UUID) -> Any:
        loaded = await load(user_id)
        await asyncio.sleep(luck.random() * 0.02)
        return loaded

    cache._load = slow  # type: ignore[method-assign]
    return cache


async def race(resources: Resources, reader: RightsCache, user_id: UUID, luck: random.Random) -> bool:
    """A right is revoked while another process fills the cache; whether Redis then holds the old state."""
    await set_right(resources, user_id, True)
    await resources.cache_redis.delete(RightsKeys.of_user(user_id))

    async def revoke() -> None:
        await asyncio.sleep(luck.random() * 0.01)
        await set_right(resources, user_id, False)
        await resources.rights.refresh([user_id])

    await asyncio.gather(reader.check(user_id, "feature:uhd"), revoke())
    held = await resources.cache_redis.get(RightsKeys.of_user(user_id))
    assert held is not None
    is_stale = bool(json.loads(held)["rights"])
    answer = await resources.rights.check(user_id, "feature:uhd")
    assert answer.granted is is_stale
    return is_stale


async def run(resources: Resources, reader: RightsCache, races: int, seed: int) -> int:
    luck = random.Random(seed)
    late(reader, luck)
    stale = 0
    for begin in range(0, races, 10):
        together = (race(resources, reader, new_id(), luck) for _ in range(min(10, races - begin)))
        stale += sum(await asyncio.gather(*together))
    return stale


@pytest.mark.timeout(300)
async def test_a_late_fill_never_brings_a_revoked_right_back(patient: Resources) -> None:
    reader = RightsCache(patient.cache_redis, patient.sessions, patient.clock)
    assert await run(patient, reader, RACES, 13) == 0


async def test_without_versions_these_races_do_bring_it_back(patient: Resources) -> None:
    """What the test above is worth: a plain SET in the reader's place fails it."""
    reader = RightsCache(patient.cache_redis, patient.sessions, patient.clock)

    async def plain_set(keys: list[str], arguments: list[Any]) -> int:
        await patient.cache_redis.set(keys[0], arguments[1], ex=arguments[2])
        return 1

    reader._store = plain_set  # type: ignore[assignment]
    assert await run(patient, reader, 60, 13) > 10
