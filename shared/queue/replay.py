"""Sends the past again: a stream to whoever asks, a service's outbox journal to a broker that lost it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Any, Final

import asyncpg
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage

from shared.queue import broker

_BATCH: Final = 5_000
_QUIET_SECONDS: Final = 1.0

# Published rows become unpublished: the service's own relay sends them, in order and confirmed.
AGAIN_SQL: Final = """
WITH again AS (
    SELECT id FROM outbox WHERE exchange = $1 AND published_at >= $2 AND published_at < $3 LIMIT $4)
UPDATE outbox SET published_at = NULL, lease_token = NULL, leased_until = NULL, attempts = 0,
    last_error = NULL
FROM again WHERE outbox.id = again.id
"""


def _offset_of(message: AbstractIncomingMessage) -> int:
    return int(str((message.headers or {})["x-stream-offset"]))


async def _newest_offset(connection: AbstractConnection, stream: str) -> int | None:
    """The offset of the last message of a stream; None when it is empty."""
    newest: int | None = None
    # the last chunk, from its first message on
    async with aclosing(broker.read_stream(connection, stream, "last")) as messages:
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(_QUIET_SECONDS):
                    newest = _offset_of(await anext(messages))
    return newest


async def stream_since(
    connection: AbstractConnection, stream: str, since: datetime
) -> AsyncGenerator[AbstractIncomingMessage]:
    """Messages from a moment (of the broker's clock) until now; may begin some seconds before it.

    A stream finds a moment by chunks: the first ones of a chunk can be older.
    """
    end = await _newest_offset(connection, stream)
    if end is None:
        return
    async with aclosing(broker.read_stream(connection, stream, since)) as messages:
        while True:
            try:
                async with asyncio.timeout(_QUIET_SECONDS * 5):
                    message = await anext(messages)
            except TimeoutError:
                return  # nothing is that young
            if _offset_of(message) <= end:
                yield message
            if _offset_of(message) >= end:
                return


async def journal_since(database_url: str, exchange: str, since: datetime) -> int:
    """Has the events published to an exchange since a moment (host time) sent again; gives how many.

    Consumers that had them ignore them. Rows are kept for 14 days after they were published.
    """
    database: asyncpg.Connection[Any] = await asyncpg.connect(database_url, timeout=5, command_timeout=30)
    try:
        until, total = await database.fetchval("SELECT clock_timestamp()"), 0
        while True:
            done = await database.execute(AGAIN_SQL, exchange, since, until, _BATCH)
            count = int(done.removeprefix("UPDATE "))
            total += count
            await database.execute("NOTIFY outbox")
            if count < _BATCH:
                return total
    finally:
        await database.close(timeout=2)
