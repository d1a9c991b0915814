"""The only reader of the wall clock; outside production one offset in Redis moves the whole suite."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import redis

OFFSET_KEY: Final = "suite:clock:offset-seconds"
_POLL_SECONDS: Final = 0.2

# How often this process was forked from one that had clocks: their threads stay with the parent.
_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


class Clock(Protocol):
    """Gives the current moment; passed to whatever needs time."""

    def now(self) -> datetime:
        """The moment now, aware, in UTC."""
        ...


class SystemClock:
    """The host's clock; the only one in production."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment.astimezone(UTC)

    def now(self) -> datetime:
        return self._moment

    def advance(self, delta: timedelta) -> None:
        self._moment += delta

    def set(self, moment: datetime) -> None:
        self._moment = moment.astimezone(UTC)


class SuiteClock:
    """The host's clock plus the suite's offset, which a daemon thread of each process follows in Redis.

    Reading it never blocks on Redis. While Redis is away the last known offset holds.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._offset = timedelta()
        self._started_after_forks = -1
        self._lock = threading.Lock()

    def now(self) -> datetime:
        if self._started_after_forks != _forks:  # the first call here, or the first after a fork
            self._start()
        return datetime.now(UTC) + self._offset

    def _start(self) -> None:
        with self._lock:
            if self._started_after_forks == _forks:
                return
            client = redis.Redis.from_url(
                self._redis_url, socket_timeout=2, socket_connect_timeout=2, decode_responses=True
            )
            self._read(client)
            threading.Thread(target=self._follow, args=(client,), name="suite-clock", daemon=True).start()
            self._started_after_forks = _forks

    def _read(self, client: redis.Redis) -> None:
        try:
            self._offset = timedelta(seconds=int(str(client.get(OFFSET_KEY) or 0)))
        except (redis.RedisError, ValueError):
            return

    def _follow(self, client: redis.Redis) -> None:
        while True:
            time.sleep(_POLL_SECONDS)
            self._read(client)


def advance_suite_clock(redis_url: str, delta: timedelta) -> timedelta:
    """Moves the suite's clock forward and returns the whole offset. Every process follows within a second.

    Raises ValueError for a step backwards: time already lived through cannot be lived again.
    """
    if delta < timedelta():
        raise ValueError("the suite clock only moves forward")
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    try:
        return timedelta(seconds=int(str(client.incrby(OFFSET_KEY, int(delta.total_seconds())))))
    finally:
        client.close()
