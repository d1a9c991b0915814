"""[Cache] Refresh tokens and sessions in Redis, and the names of every Redis key of UserAPI."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import unauthenticated, unavailable
from shared.ids import new_id

ABSOLUTE_LIFETIME: Final = timedelta(days=30)
IDLE_LIFETIME: Final = timedelta(days=14)
MAX_SESSIONS: Final = 50  # of one user; the oldest are signed out first
RETRY_WINDOW: Final = timedelta(seconds=5)
THROTTLE_PREFIX: Final = "users:throttle"
_HANDLE_BYTES: Final = 16
_SECRET_BYTES: Final = 32
_TOKEN_LENGTH: Final = 64  # base64url of both
_AGENT_LENGTH: Final = 200

# One step, so that of many holders of a token exactly one gets its successor.
_ROTATE: Final = """
local s = redis.call('HMGET', KEYS[1], 'secret_hash', 'recent', 'used_at', 'expires_at', 'ended')
if not s[1] then return 'missing' end
local now = tonumber(ARGV[3])
if s[5] then return 'ended' end
if now >= tonumber(s[4]) or now - tonumber(s[3]) >= tonumber(ARGV[5]) then
    redis.call('DEL', KEYS[1])
    return 'missing'
end
local kept = {}
local retried = false
for hash, at in string.gmatch(s[2], '(%x+):(%d+)') do
    if now - tonumber(at) < tonumber(ARGV[4]) then
        kept[#kept + 1] = hash .. ':' .. at
        retried = retried or hash == ARGV[1]
    end
end
if s[1] == ARGV[1] then
    kept[#kept + 1] = ARGV[1] .. ':' .. ARGV[3]
    redis.call('HSET', KEYS[1], 'secret_hash', ARGV[2], 'recent', table.concat(kept, ','), 'used_at', ARGV[3])
    redis.call('PEXPIRE', KEYS[1], math.min(tonumber(ARGV[5]), tonumber(s[4]) - now))
    return 'rotated'
end
if retried then return 'retry' end
redis.call('HSET', KEYS[1], 'ended', '1')
return 'reused'
"""


def session_key(handle_hash: str) -> str:
    """One session (refresh family). The handle itself is only in the hands of the session's owner."""
    return f"users:session:{handle_hash}"


def user_sessions_key(user_id: UUID) -> str:
    """All sessions of a user: family id -> hash of its handle."""
    return f"users:sessions:{user_id}"


class RightsKeys:
    """Access rights (used by rights_cache.py). Names hold UUIDs only: no input reaches another key."""

    TTL_SECONDS: Final = 60
    CATALOG_VERSION: Final = "users:catalog:version"

    # An older state never overwrites a newer one, however late its writer comes. The catalogue's version,
    # read by the same statement of the database, goes along in the same round trip.
    STORE_IF_NOT_OLDER: Final = """
local catalog = redis.call('GET', KEYS[2])
if not catalog or tonumber(catalog) <= tonumber(ARGV[4]) then
    redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[3])
end
local held = redis.call('GET', KEYS[1])
if held and cjson.decode(held)['version'] > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""
    RAISE_CATALOG_VERSION: Final = """
local held = redis.call('GET', KEYS[1])
if held and tonumber(held) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""

    @staticmethod
    def of_user(user_id: UUID) -> str:
        return f"users:rights:{user_id}"


class Rotation(StrEnum):
    """What became of a presented refresh token."""

    ROTATED = "rotated"
    RETRY = "retry"  # rotated less than RETRY_WINDOW ago: the holder already has, or is getting, the next one
    REUSED = "reused"  # an old token: the family is over
    ENDED = "ended"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Session:
    """A refresh family as its owner sees it; moments are UTC."""

    family_id: UUID
    user_id: UUID
    epoch: int
    user_agent: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime


class RefreshToken:
    """``base64url(handle || secret)``: the handle finds the family, the secret changes at every rotation.

    The family's id is no part of it: it is readable in access tokens, and whoever could address a family
    by it could end it with a made-up secret.
    """

    __slots__ = ("_handle", "_secret")

    def __init__(self, handle: bytes, secret: bytes) -> None:
        self._handle = handle
        self._secret = secret

    @classmethod
    def new(cls) -> RefreshToken:
        return cls(secrets.token_bytes(_HANDLE_BYTES), secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> RefreshToken:
        """Raises ``refresh-token-invalid`` (401)."""
        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True) if len(text) == _TOKEN_LENGTH else b""
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != _HANDLE_BYTES + _SECRET_BYTES:
            raise refresh_refused()
        return cls(raw[:_HANDLE_BYTES], raw[_HANDLE_BYTES:])

    def successor(self) -> RefreshToken:
        return RefreshToken(self._handle, secrets.token_bytes(_SECRET_BYTES))

    def reveal(self) -> str:
        """The text the client gets; nothing else is ever to hold it."""
        return base64.urlsafe_b64encode(self._handle + self._secret).decode()

    @property
    def handle_hash(self) -> str:
        return hashlib.sha256(self._handle).hexdigest()

    @property
    def secret_hash(self) -> str:
        return hashlib.sha256(self._secret).hexdigest()


def refresh_refused() -> Exception:
    """One answer for every refresh token that is not good any more, whatever the reason."""
    return unauthenticated("refresh-token-invalid", "This refresh token is not valid. Sign in again.")


class SessionStore:
    """Sessions of users. Every method raises ``sessions-unavailable`` (503) while Redis is away.

    ``refresh_rights`` puts a user's cached access entry right, which knows epoch and ended sessions too.
    """

    def __init__(self, redis: Redis, refresh_rights: Callable[[Sequence[UUID]], Awaitable[None]]) -> None:
        self._redis = redis
        self.refresh_rights = refresh_rights
        self._rotate = redis.register_script(_ROTATE)

    async def open(
        self, user_id: UUID, epoch: int, user_agent: str, now: datetime
    ) -> tuple[Session, RefreshToken]:
        """A new family and its first refresh token; above ``MAX_SESSIONS`` the oldest are forgotten."""
        token = RefreshToken.new()
        expires_at = now + ABSOLUTE_LIFETIME
        session = Session(new_id(), user_id, epoch, user_agent[:_AGENT_LENGTH], now, now, expires_at)
        fields: dict[Any, Any] = {
            "family_id": str(session.family_id),
            "user_id": str(user_id),
            "epoch": epoch,
            "user_agent": session.user_agent,
            "secret_hash": token.secret_hash,
            "recent": "",
            "created_at": _milliseconds(now),
            "used_at": _milliseconds(now),
            "expires_at": _milliseconds(expires_at),
        }
        async with _redis_errors(), self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(session_key(token.handle_hash), mapping=fields)
            pipe.pexpire(session_key(token.handle_hash), IDLE_LIFETIME)
            pipe.hset(user_sessions_key(user_id), str(session.family_id), token.handle_hash)
            pipe.pexpire(user_sessions_key(user_id), ABSOLUTE_LIFETIME)
            pipe.hkeys(user_sessions_key(user_id))
            families = (await pipe.execute())[-1]
        if len(families) > MAX_SESSIONS:  # ids are UUIDv7: their order is the order of opening
            await self.forget(user_id, [UUID(family) for family in sorted(families)[:-MAX_SESSIONS]])
        return session, token

    async def find(self, token: RefreshToken) -> Session | None:
        """The family a refresh token belongs to, whether or not the token is its current one."""
        async with _redis_errors():
            fields = _texts(await self._redis.hgetall(session_key(token.handle_hash)))
        return _session(fields) if fields else None

    async def rotate(self, token: RefreshToken, now: datetime) -> tuple[Rotation, RefreshToken]:
        """Replaces the family's secret in one atomic step; gives what happened and the successor."""
        following = token.successor()
        arguments: list[str | int] = [
            token.secret_hash,
            following.secret_hash,
            _milliseconds(now),
            int(RETRY_WINDOW.total_seconds() * 1000),
            int(IDLE_LIFETIME.total_seconds() * 1000),
        ]
        async with _redis_errors():
            outcome = await self._rotate(keys=[session_key(token.handle_hash)], args=arguments)
        return Rotation(outcome), following

    async def list_live(self, user_id: UUID, epoch: int, now: datetime) -> list[Session]:
        """The user's sessions of this epoch that are neither ended nor expired, newest use first."""
        async with _redis_errors():
            handles = _texts(await self._redis.hgetall(user_sessions_key(user_id)))
            found = await self._read(list(handles.values()))
            gone = [family for family, fields in zip(handles, found, strict=True) if not fields]
            if gone:
                await self._redis.hdel(user_sessions_key(user_id), *gone)
        live = [_session(fields) for fields in found if fields and "ended" not in fields]
        return sorted(
            (s for s in live if s.epoch == epoch and s.expires_at > now and s.used_at + IDLE_LIFETIME > now),
            key=lambda session: session.used_at,
            reverse=True,
        )

    async def belongs(self, user_id: UUID, family_id: UUID) -> bool:
        """Whether the store knows the family as the user's."""
        async with _redis_errors():
            return bool(await self._redis.hexists(user_sessions_key(user_id), str(family_id)))

    async def forget(self, user_id: UUID, family_ids: Sequence[UUID] | None = None) -> None:
        """Removes sessions (all without ``family_ids``) so that their refresh tokens are unknown."""
        key = user_sessions_key(user_id)
        async with _redis_errors():
            known = _texts(await self._redis.hgetall(key))
            wanted = [str(family) for family in family_ids] if family_ids is not None else list(known)
            handles = [known[family] for family in wanted if family in known]
            if wanted:
                async with self._redis.pipeline(transaction=True) as pipe:
                    pipe.hdel(key, *wanted)
                    if handles:
                        pipe.delete(*(session_key(handle) for handle in handles))
                    await pipe.execute()

    async def _read(self, handle_hashes: Sequence[str]) -> list[dict[str, str]]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for handle_hash in handle_hashes:
                pipe.hgetall(session_key(handle_hash))
            return list(await pipe.execute())


def _texts(fields: Mapping[Any, Any]) -> dict[str, str]:
    """The client decodes its answers; its types do not say so."""
    return dict(fields)


def _session(fields: Mapping[str, str]) -> Session:
    return Session(
        family_id=UUID(fields["family_id"]),
        user_id=UUID(fields["user_id"]),
        epoch=int(fields["epoch"]),
        user_agent=fields["user_agent"],
        created_at=_moment(fields["created_at"]),
        used_at=_moment(fields["used_at"]),
        expires_at=_moment(fields["expires_at"]),
    )


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _moment(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


@asynccontextmanager
async def _redis_errors() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise unavailable("sessions-unavailable", "Sessions cannot be reached just now.", 2) from error
