"""Gathers concurrent look-ups of cached keys into one MGET at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

Found = Mapping[str, str | None]
MOST_KEYS: Final = 1000


class GatheredReads:
    """One MGET is under way at a time; what is asked meanwhile, or in one turn of the loop, goes together.

    ``fetch`` gives the values of the keys in their order, or None when the cache is in doubt: then every
    look-up of that batch gets None. It must bound its own time and raise nothing. ``always`` is read with
    every batch.
    """

    def __init__(
        self, fetch: Callable[[list[str]], Awaitable[list[str | None] | None]], always: Sequence[str] = ()
    ) -> None:
        self._fetch = fetch
        self._always = always
        self._waiting: list[tuple[Sequence[str], asyncio.Future[Found | None]]] = []
        self._task: asyncio.Task[None] | None = None

    def get(self, keys: Sequence[str]) -> asyncio.Future[Found | None]:
        """The values by key; keys that others asked for may stand among them."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Found | None] = loop.create_future()
        self._waiting.append((keys, found))
        if self._task is None or self._task.done():
            # The task begins in the next turn, after all look-ups of this one.
            self._task = loop.create_task(self._serve())
        return found

    async def _serve(self) -> None:
        while self._waiting:
            keys: dict[str, None] = dict.fromkeys(self._always)
            count = 0
            for wanted, _ in self._waiting:
                if count and len(keys) + len(wanted) > MOST_KEYS:
                    break
                for key in wanted:
                    keys[key] = None
                count += 1
            batch, self._waiting = self._waiting[:count], self._waiting[count:]
            names = list(keys)
            values = None
            try:
                values = await self._fetch(names)
            finally:  # whatever happens here, nobody is left waiting
                found = dict(zip(names, values, strict=True)) if values is not None else None
                for _, future in batch:
                    if not future.done():
                        future.set_result(found)
