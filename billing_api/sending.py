"""Keeps BillingService's orders flowing to UserAPI: a few lanes, each one order at a time."""

from __future__ import annotations

import asyncio
from typing import Final

from django.db import close_old_connections

from billing_api.billing_service.clients.user_api import UserApi
from billing_api.billing_service.sending import send_due_orders
from shared import correlation
from shared.clock import Clock
from shared.ids import new_id

LANES: Final = 3  # of the worker's threads; the rest is for events
_IDLE_SECONDS: Final = 0.3


class Sender:
    """Sends due orders until told to stop. An order whose sender dies is sent again when its lease ends."""

    def __init__(self, user_api: UserApi, clock: Clock) -> None:
        self._user_api = user_api
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop``; what has been begun is finished."""
        async with asyncio.TaskGroup() as lanes:
            for _ in range(LANES):
                lanes.create_task(self._lane(stop))

    async def _lane(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if await asyncio.to_thread(self.send_one):
                continue
            try:
                async with asyncio.timeout(_IDLE_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    def send_one(self) -> int:
        """Sends at most one order, under a correlation id of its own; gives how many."""
        close_old_connections()
        with correlation.correlated(str(new_id())):
            # One by one, so that the lease of an order never runs out while it waits behind others.
            return send_due_orders(self._user_api, self._clock, limit=1)
