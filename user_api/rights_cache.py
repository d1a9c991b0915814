"""Access checks: a user's rights read through Redis, or from the Users database when Redis is in doubt."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from shared import logs
from shared.auth import EndUser
from shared.clock import Clock
from shared.errors import AppError, unavailable
from user_api.cache import RightsKeys
from user_api.gathered_reads import Found, GatheredReads
from user_api.user_service.access import Decision, Right, decide
from user_api.user_service.access_tokens import LIFETIME_SECONDS
from user_api.user_service.commerce_models import CatalogCollection

REDIS_SECONDS: Final = 0.05  # more, and the database is asked (reliability: 50 ms budget)
FAILURES_TO_OPEN: Final = 3
OPEN_SECONDS: Final = 1.0
DATABASE_SECONDS: Final = 2.0
STORABLE_SECONDS: Final = 5.0  # older than that, what was loaded is used and not stored
RETRY_SECONDS: Final = 0.25
MOST_UNPACKED: Final = 20_000
MOST_DECIDED: Final = 100  # of one user
LOOKUPS: Final = Counter("access_cache_lookups_total", "Users' rights looked up in the cache", ["outcome"])
HITS, MISSES = LOOKUPS.labels("hit"), LOOKUPS.labels("miss")

log = logs.logger(__name__)

# One statement, so one snapshot. The version is the sum of two that only grow: the rights' own and the
# sequence of the user's events (a new epoch or an ended session raises that one).
LOAD_SQL: Final = """
SELECT coalesce((SELECT version FROM access_versions WHERE user_id = :user_id), 0)
     + coalesce((SELECT sequence FROM aggregate_sequence
                 WHERE aggregate_type = 'user' AND aggregate_id = :user_id), 0) AS version,
       coalesce((SELECT version FROM catalog_version), 0) AS catalog_version,
       (SELECT CASE WHEN status = 'active' THEN token_epoch END FROM users WHERE id = :user_id) AS epoch,
       coalesce((SELECT jsonb_agg(family_id) FROM revoked_sessions
                 WHERE user_id = :user_id AND revoked_at > :ended_after), '[]') AS ended,
       coalesce((SELECT jsonb_agg(jsonb_build_array(resource, until, source) ORDER BY resource, source)
                 FROM access_rights WHERE user_id = :user_id), '[]') AS rights
"""

_LOAD: Final = text(LOAD_SQL).columns(ended=JSONB, rights=JSONB)


@dataclass(frozen=True, slots=True)
class UserRights:
    """A user's rights as granted, and what decides whether a token of theirs still holds.

    ``epoch`` None: no tokens are accepted (blocked, erased or unknown user). ``decided`` remembers decisions
    by resource, each with the version of the film map it was made by.
    """

    version: int
    epoch: int | None
    ended_families: frozenset[str]
    rights: tuple[Right, ...]
    decided: dict[str, tuple[int, Decision]] = field(default_factory=dict, compare=False, repr=False)

    def packed(self) -> str:
        rights = [[r.resource, r.until and r.until.isoformat(), r.source] for r in self.rights]
        return json.dumps(
            {
                "version": self.version,
                "epoch": self.epoch,
                "ended": sorted(self.ended_families),
                "rights": rights,
            },
            separators=(",", ":"),
        )


def _unpacked(value: Mapping[str, Any]) -> UserRights:
    return UserRights(
        version=int(value["version"]),
        epoch=value["epoch"],
        ended_families=frozenset(value["ended"]),
        rights=tuple(
            Right(resource, datetime.fromisoformat(until) if until else None, source)
            for resource, until, source in value["rights"]
        ),
    )


class Breaker:
    """After some failures in a row Redis is left alone for a moment: nobody waits for what is down.

    When the moment is over one call tries; the rest go by until it has come back.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self._open_until

    def allows(self) -> bool:
        """Whether this call may go to Redis; tell its outcome afterwards."""
        if self.is_open:
            return False
        if self._failures >= FAILURES_TO_OPEN:
            self._open_until = time.monotonic() + OPEN_SECONDS  # this call is the one that tries
        return True

    def succeeded(self) -> None:
        self._failures = 0
        self._open_until = 0.0

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES_TO_OPEN:
            self._open_until = time.monotonic() + OPEN_SECONDS


class RightsCache:
    """Never answers "granted" from doubt: Redis, else the Users database, else 503 ``access-unknown``."""

    def __init__(
        self,
        redis: Redis,
        sessions: async_sessionmaker[AsyncSession],
        clock: Clock,
        budget_seconds: float = REDIS_SECONDS,
    ) -> None:
        self._redis = redis
        self._budget_seconds = budget_seconds
        self._sessions = sessions
        self._clock = clock
        self._breaker = Breaker()
        self._loads: dict[UUID, asyncio.Task[tuple[UserRights, int]]] = {}
        self._reads = GatheredReads(self._mget, always=(RightsKeys.CATALOG_VERSION,))
        self._unpacked: dict[str, tuple[str, UserRights]] = {}
        self._owed: dict[UUID, asyncio.Task[None]] = {}
        self._store = redis.register_script(RightsKeys.STORE_IF_NOT_OLDER)
        self._raise_version = redis.register_script(RightsKeys.RAISE_CATALOG_VERSION)
        self._collections_of: Mapping[str, Sequence[str]] = {}
        self._catalog_version = -1
        self._catalog_lock = asyncio.Lock()

    async def read_one(self, user_id: UUID) -> UserRights:
        """``read`` of one user: the road of nearly every check, so nothing stands on it that could not."""
        key = RightsKeys.of_user(user_id)
        values = await self._reads.get((key,))
        if values is not None:
            entry, version = values[key], values[RightsKeys.CATALOG_VERSION]
            if entry is not None and version is not None and int(version) <= self._catalog_version:
                HITS.inc()
                return self._unpack(key, entry)
        return (await self._complete([user_id], values))[user_id]

    async def read(self, user_ids: Sequence[UUID]) -> dict[UUID, UserRights]:
        """The rights of these users, in one round trip to Redis; the film map is brought up to date too."""
        values = await self._reads.get([RightsKeys.of_user(user_id) for user_id in user_ids])
        return await self._complete(user_ids, values)

    async def _complete(self, user_ids: Sequence[UUID], values: Found | None) -> dict[UUID, UserRights]:
        """What Redis gave, and what it lacks from the Users database."""
        found, catalog_version = self._read_values(user_ids, values)
        missing = [user_id for user_id in dict.fromkeys(user_ids) if user_id not in found]
        if catalog_version is None and not missing:
            missing = [user_ids[0]]  # a load brings the catalogue's version along
        HITS.inc(len(user_ids) - len(missing))
        MISSES.inc(len(missing))
        loads = await asyncio.gather(*(self._load_once(user_id) for user_id in missing))
        for user_id, (loaded, version) in zip(missing, loads, strict=True):
            found[user_id] = loaded
            catalog_version = max(version, catalog_version or 0)
        if catalog_version is not None and catalog_version > self._catalog_version:
            await self._reload_catalog()
        return found

    async def check(self, user_id: UUID, resource: str) -> Decision:
        return self.decide(await self.read_one(user_id), resource)

    def decide(self, held: UserRights, resource: str) -> Decision:
        """The decision now, by the film map in memory; call it right after ``read``.

        Rights have an end and no beginning: a "no" stays one, and a "yes" holds until its end, so that either
        is remembered as long as rights and film map stay what they are.
        """
        now, version = self._clock.now(), self._catalog_version
        known = held.decided.get(resource)
        if known is not None and known[0] == version and (known[1].until is None or now < known[1].until):
            return known[1]
        decision = decide(held.rights, resource, self._collections_of, now)
        if len(held.decided) < MOST_DECIDED:
            held.decided[resource] = version, decision
        return decision

    async def refresh(self, user_ids: Sequence[UUID]) -> None:
        """Puts what is committed now into Redis, so that a change is seen at once.

        Redis being away is no failure: entries live 60 s at most, and until then the write is tried again.
        """
        for user_id in user_ids:
            if not await self._remember(user_id, *await self._load(user_id)) and user_id not in self._owed:
                task = self._owed[user_id] = asyncio.create_task(self._refresh_later(user_id))
                task.add_done_callback(partial(self._paid, user_id))

    def _paid(self, user_id: UUID, _: asyncio.Task[None]) -> None:
        self._owed.pop(user_id, None)

    async def _refresh_later(self, user_id: UUID) -> None:
        """Without this a revocation that fell into a hiccup of Redis would be seen up to 60 s late."""
        deadline = time.monotonic() + RightsKeys.TTL_SECONDS
        while time.monotonic() < deadline:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                loaded, catalog_version = await self._load(user_id)
            except AppError:
                continue
            if await self._remember(user_id, loaded, catalog_version):
                return

    async def close(self) -> None:
        """Lets go of writes still owed; the entries they were for end by themselves."""
        for task in list(self._owed.values()):
            task.cancel()

    async def announce_catalog(self, version: int) -> None:
        """Tells every process that the film map has moved."""
        arguments = [version, RightsKeys.TTL_SECONDS]
        await self._attempt(lambda: self._raise_version([RightsKeys.CATALOG_VERSION], arguments))

    def _read_values(
        self, user_ids: Sequence[UUID], values: Found | None
    ) -> tuple[dict[UUID, UserRights], int | None]:
        if values is None:
            return {}, None
        found = {}
        for user_id in user_ids:
            key = RightsKeys.of_user(user_id)
            entry = values[key]
            if entry is not None:
                found[user_id] = self._unpack(key, entry)
        version = values[RightsKeys.CATALOG_VERSION]
        return found, int(version) if version is not None else None

    async def _mget(self, keys: list[str]) -> list[str | None] | None:
        values: list[str | None] | None = await self._attempt(lambda: self._redis.mget(keys))
        return values

    def _unpack(self, key: str, entry: str) -> UserRights:
        """Redis is asked every time; only an unchanged text is not parsed again."""
        known = self._unpacked.get(key)
        if known is not None and known[0] == entry:
            return known[1]
        held = _unpacked(json.loads(entry))
        if len(self._unpacked) >= MOST_UNPACKED:
            self._unpacked.clear()
        self._unpacked[key] = entry, held
        return held

    async def _attempt(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Redis within its budget; None when it is away or too slow."""
        if not self._breaker.allows():
            return None
        try:
            async with asyncio.timeout(self._budget_seconds):
                result = await call()
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.failed()
            log.warning("cache-bypassed", error=type(error).__name__)
            return None
        self._breaker.succeeded()
        return result

    async def _load_once(self, user_id: UUID) -> tuple[UserRights, int]:
        """However many ask at once, the database is asked once; nobody's leaving cancels it for the rest."""
        task = self._loads.get(user_id)
        if task is None:
            task = self._loads[user_id] = asyncio.create_task(self._load_and_remember(user_id))
            task.add_done_callback(lambda _: self._loads.pop(user_id, None))
        return await asyncio.shield(task)

    async def _load_and_remember(self, user_id: UUID) -> tuple[UserRights, int]:
        began = time.monotonic()
        loaded, catalog_version = await self._load(user_id)
        if time.monotonic() - began < STORABLE_SECONDS:  # a newer entry may have come and gone meanwhile
            await self._remember(user_id, loaded, catalog_version)
        return loaded, catalog_version

    async def _load(self, user_id: UUID) -> tuple[UserRights, int]:
        ended_after = self._clock.now() - timedelta(seconds=LIFETIME_SECONDS + 30)
        try:
            async with asyncio.timeout(DATABASE_SECONDS), self._sessions() as session:
                # One statement needs no transaction around it: that would be two more round trips.
                await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
                parameters = {"user_id": user_id, "ended_after": ended_after}
                row = (await session.execute(_LOAD, parameters)).mappings().one()
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            raise _unknown() from error
        return _unpacked(dict(row)), int(row["catalog_version"])

    async def _remember(self, user_id: UUID, loaded: UserRights, catalog_version: int) -> bool:
        """Whether Redis now holds this state or a newer one."""
        keys = [RightsKeys.of_user(user_id), RightsKeys.CATALOG_VERSION]
        arguments: list[str | int] = [
            loaded.version,
            loaded.packed(),
            RightsKeys.TTL_SECONDS,
            catalog_version,
        ]
        stored = await self._attempt(lambda: self._store(keys, arguments))
        return stored is not None

    async def _reload_catalog(self) -> None:
        async with self._catalog_lock:
            try:
                async with self._sessions() as session:
                    await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                    version = await session.scalar(text("SELECT version FROM catalog_version"))
                    if (version or 0) <= self._catalog_version:
                        return  # another request has just done it
                    rows = await session.execute(select(CatalogCollection.slug, CatalogCollection.movie_ids))
                    collections = rows.all()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                raise _unknown() from error
            films: dict[str, list[str]] = {}
            for slug, movie_ids in collections:
                for movie_id in movie_ids:
                    films.setdefault(f"movie:{movie_id}", []).append(f"collection:{slug}")
            self._collections_of = films
            self._catalog_version = int(version or 0)


def holds(held: UserRights, user: EndUser) -> bool:
    """Whether a verified token's session still stands: the user's current epoch, the family not ended."""
    ended = held.ended_families
    return held.epoch == user.epoch and not (ended and str(user.family_id) in ended)


def _unknown() -> AppError:
    return unavailable("access-unknown", "Access cannot be checked just now.")
