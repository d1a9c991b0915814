"""The data bus from a shell: declare, tail, dead-letters."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.ids import new_id
from shared.queue import broker, topology


def _amqp_url() -> str:
    file = os.environ.get("AMQP_URL_FILE")
    return Path(file).read_text().strip() if file else os.environ["AMQP_URL"]


async def declare() -> None:
    """Declares the whole topology, waiting up to a minute for the broker."""
    deadline = asyncio.get_running_loop().time() + 60
    while True:
        try:
            async with broker.connected(_amqp_url(), "broker-migrate") as connection:
                await broker.declare_topology(connection)
                return
        except (ConnectionError, OSError):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(1)


def _offset(text: str) -> str | int | datetime:
    if text in ("first", "last", "next"):
        return text
    return int(text) if text.isdigit() else datetime.fromisoformat(text).astimezone(UTC)


async def tail(stream: str, start: str, count: int | None) -> None:
    """Prints events of a stream, one JSON object a line."""
    async with broker.connected(_amqp_url(), "tail") as connection:
        seen = 0
        async for message in broker.read_stream(connection, stream, _offset(start)):
            print(message.body.decode(), flush=True)
            seen += 1
            if seen == count:
                return


def _parked(message: Any) -> dict[str, Any]:
    headers = {name: str(value) for name, value in (message.headers or {}).items()}
    try:
        envelope = json.loads(message.body)
    except ValueError:
        envelope = {}
    known = envelope if isinstance(envelope, dict) else {}
    return {
        "message_id": message.message_id,
        "type": known.get("type"),
        "subject": known.get("subject"),
        "correlation_id": known.get("correlationid"),
        "reason": headers.get("x-reason") or headers.get("x-first-death-reason"),
        "attempts": headers.get("x-attempts"),
    }


async def dead_letters(action: str, queue_name: str | None, limit: int) -> None:
    """Lists parked messages, or sends them back to the queue they were parked from."""
    queues = [topology.queue(queue_name)] if queue_name else list(topology.QUEUES)
    async with broker.connected(_amqp_url(), "dead-letters") as connection:
        publisher = await broker.Publisher.open(connection)
        for queue in queues:
            async for message in broker.take(connection, queue.dead_letter_queue, limit):
                print(json.dumps({"queue": queue.name, **_parked(message)}, ensure_ascii=False))
                if action == "redrive":
                    # To this consumer alone, past the exchange: the others have had it.
                    identity = message.message_id or str(new_id())
                    await publisher.publish("", queue.name, message.body, message_id=identity)
                    await message.ack()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m shared.queue", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("declare", help="declare exchanges, queues and streams")
    follow = commands.add_parser("tail", help="print the events of a stream")
    follow.add_argument("stream", choices=[stream.name for stream in topology.STREAMS])
    follow.add_argument(
        "--from", dest="start", default="next", help="first, last, next, an offset or a moment"
    )
    follow.add_argument("--count", type=int)
    parked = commands.add_parser("dead-letters", help="messages that kept failing")
    parked.add_argument("action", choices=["list", "redrive"])
    parked.add_argument("--queue", choices=[queue.name for queue in topology.QUEUES])
    parked.add_argument("--limit", type=int, default=100)
    given = parser.parse_args(arguments)
    with suppress(KeyboardInterrupt):
        if given.command == "declare":
            asyncio.run(declare())
        elif given.command == "tail":
            asyncio.run(tail(given.stream, given.start, given.count))
        else:
            asyncio.run(dead_letters(given.action, given.queue, given.limit))


if __name__ == "__main__":
    main()
