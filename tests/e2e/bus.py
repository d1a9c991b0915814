"""Listens to both streams as another system would, with the data bus reader's account."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from shared.queue import broker
from tests.e2e.transcript import StoryBroken, Transcript, money

STREAMS = ("data-bus.payments", "data-bus.invoices")


def _note(event: dict[str, Any]) -> str:
    data = event["data"]
    parts = [str(data[name]) for name in ("number", "status") if data.get(name)]
    parts += [money(data[name]) for name in ("amount", "total") if data.get(name)]
    return " ".join(parts)


class DataBus:
    """Collects the events of the story's own users and prints them as they arrive."""

    def __init__(self, amqp_url: str, transcript: Transcript) -> None:
        self._amqp_url = amqp_url
        self._transcript = transcript
        self._arrived = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self.users: set[str] = set()
        self.events: list[tuple[str, dict[str, Any]]] = []

    async def __aenter__(self) -> DataBus:
        attached = [asyncio.Event() for _ in STREAMS]
        self._tasks = [
            asyncio.create_task(self._listen(stream, event))
            for stream, event in zip(STREAMS, attached, strict=True)
        ]
        async with asyncio.timeout(10):
            for event in attached:
                await event.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, stream: str, attached: asyncio.Event) -> None:
        async with broker.connected(self._amqp_url, f"demo-{stream}") as connection:
            attached.set()
            async for message in broker.read_stream(connection, stream, "next"):
                event = json.loads(message.body)
                if event["data"].get("user_id") not in self.users:
                    continue
                self._transcript.event(stream, event, _note(event))
                async with self._arrived:
                    self.events.append((stream, event))
                    self._arrived.notify_all()

    async def expect(
        self, event_type: str, of: Callable[[dict[str, Any]], bool], seconds: float = 20
    ) -> dict[str, Any]:
        """The first event of a type whose data satisfies ``of``; waits for it."""

        def found() -> dict[str, Any] | None:
            for _, event in self.events:
                if event["type"] == event_type and of(event["data"]):
                    return event
            return None

        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._arrived:
                await self._arrived.wait_for(lambda: found() is not None)
        event = found()
        if event is None:
            raise StoryBroken(f"no {event_type} arrived within {seconds} s")
        return event
