"""Counts what one IP address does, in Redis, by the sliding windows of the package ``limits``."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta
from functools import cache

from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import unavailable
from user_api.cache import THROTTLE_PREFIX
from user_api.user_service.throttle_login import too_many_attempts


class AddressThrottle:
    """``limit`` is in the notation of ``limits``: ``10/hour``. Windows run on the host's clock.

    Raises ``too-many-attempts`` (429), and ``sessions-unavailable`` (503) while Redis is away: an address
    that cannot be counted is not let through, and without Redis no session could be opened anyway.
    """

    def __init__(self, redis: Redis) -> None:
        storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix=THROTTLE_PREFIX,
            connection_pool=redis.connection_pool,  # type: ignore[arg-type]
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    async def count(self, action: str, limit: str, address: str) -> None:
        """Counts one ``action`` of an address and refuses it when there were too many."""
        item = _parsed(limit)
        if not await self._ask(self._limiter.hit(item, action, address)):
            raise too_many_attempts(timedelta(seconds=item.get_expiry()))

    async def check(self, action: str, limit: str, address: str) -> None:
        """Refuses when there were too many, without counting."""
        item = _parsed(limit)
        if not await self._ask(self._limiter.test(item, action, address)):
            raise too_many_attempts(timedelta(seconds=item.get_expiry()))

    async def _ask(self, question: Awaitable[bool]) -> bool:
        try:
            return await question
        except (RedisError, OSError) as error:
            raise unavailable("sessions-unavailable", "Sessions cannot be reached just now.", 2) from error


@cache
def _parsed(limit: str) -> RateLimitItem:
    return parse(limit)
