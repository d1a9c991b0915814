"""Moves messages to the dead-letter queue of their consumer, over a connection of its own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from aio_pika.abc import AbstractIncomingMessage

from shared.clock import Clock
from shared.ids import new_id
from shared.queue import broker, topology


@dataclass(slots=True)
class Parking:
    """Parks for one queue.

    The connection is not the consumer's: under its alarms the broker stops reading from connections that
    publish, and acknowledgements would then wait with them.
    """

    amqp_url: str
    queue: str
    clock: Clock
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _opened: AsyncExitStack | None = None
    _publisher: broker.Publisher | None = field(default=None)

    async def put(self, message: AbstractIncomingMessage, reason: str, attempts: int) -> None:
        """Copies the message with its reason; raises NotDelivered when the broker refuses it (full)."""
        headers: dict[str, Any] = {
            "x-reason": reason[:500],
            "x-attempts": attempts,
            "x-queue": self.queue,
            "x-routing-key": message.routing_key or "",
            "x-parked-at": self.clock.now().isoformat(),
        }
        async with self._turn:
            try:
                publisher = self._publisher or await self._open()
                await publisher.publish(
                    topology.DEAD_LETTER_EXCHANGE,
                    self.queue,
                    message.body,
                    message_id=message.message_id or str(new_id()),
                    headers=headers,
                )
            except (*broker.BROKER_ERRORS, broker.NotDelivered) as error:
                await self.close()
                raise broker.NotDelivered(f"not parked: {error}") from error

    async def _open(self) -> broker.Publisher:
        self._opened = AsyncExitStack()
        async with asyncio.timeout(broker.CONNECT_TIMEOUT_SECONDS * 2):
            connection = await self._opened.enter_async_context(
                broker.connected(self.amqp_url, f"{self.queue}-parking")
            )
            self._publisher = await broker.Publisher.open(connection)
        return self._publisher

    async def close(self) -> None:
        """Ends the connection, if one was opened; the next ``put`` opens another."""
        opened, self._opened, self._publisher = self._opened, None, None
        if opened is not None:
            with suppress(*broker.BROKER_ERRORS):
                await opened.aclose()
