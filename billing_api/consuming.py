"""Applies one event in a thread: inbox row and effect in one transaction of the Billing database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from django.db import close_old_connections

from billing_api.billing_service import consumers
from billing_api.billing_service.database import atomic, cursor, rerun
from shared.clock import Clock
from shared.queue import inbox
from shared.queue.messages.base import Envelope


def handler(queue: str, clock: Clock) -> Callable[[Envelope], Awaitable[None]]:
    """The handler of a queue for ``shared.queue.consumer``."""

    async def handle(envelope: Envelope) -> None:
        await asyncio.to_thread(apply, queue, envelope, clock)

    return handle


def apply(queue: str, envelope: Envelope, clock: Clock) -> bool:
    """True when the event took effect now; False for a duplicate and for a state older than one applied."""
    close_old_connections()
    return rerun(lambda: _apply(queue, envelope, clock))


def _apply(queue: str, envelope: Envelope, clock: Clock) -> bool:
    with atomic():
        now = clock.now()
        if not inbox.accept_sync(cursor(), queue, envelope, now):
            return False
        consumers.apply_event(envelope, now)
        return True
