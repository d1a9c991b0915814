"""The data bus from a shell: declare, tail, replay, dead-letters."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any

from shared.ids import new_id
from shared.queue import broker, replay, topology
from shared.settings import secret_or_file


def _setting(name: str) -> str:
    """A setting of the environment, or of the file that ``<name>_FILE`` names."""
    if value := secret_or_file(name):
        return value
    raise SystemExit(f"{name} is not set")


def _amqp_url() -> str:
    return _setting("AMQP_URL")


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
    return int(text) if text.isdigit() else _moment(text)


async def tail(stream: str, start: str, count: int | None) -> None:
    """Prints events of a stream, one JSON object a line."""
    async with broker.connected(_amqp_url(), "tail") as connection:
        seen = 0
        async with aclosing(broker.read_stream(connection, stream, _offset(start))) as messages:
            async for message in messages:
                print(message.body.decode(), flush=True)
                seen += 1
                if seen == count:
                    return


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


async def replay_stream(stream: str, since: datetime) -> None:
    """Prints what a stream holds since a moment, one JSON object a line, and ends."""
    async with (
        broker.connected(_amqp_url(), "replay") as connection,
        aclosing(replay.stream_since(connection, stream, since)) as messages,
    ):
        async for message in messages:
            print(message.body.decode(), flush=True)


async def replay_journal(exchange: str, since: datetime, setting: str) -> None:
    """Has a service's published events sent again by its relay; ``setting`` names its database's URL."""
    count = await replay.journal_since(_setting(setting), exchange, since)
    print(
        f"{exchange}: {count} events since {since.isoformat()} are sent again by the relay of their service"
    )


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.queue", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("declare", help="declare exchanges, queues and streams")
    follow = commands.add_parser("tail", help="print the events of a stream")
    follow.add_argument("stream", choices=[stream.name for stream in topology.STREAMS])
    follow.add_argument(
        "--from", dest="start", default="next", help="first, last, next, an offset or a moment"
    )
    follow.add_argument("--count", type=int)
    again = commands.add_parser("replay", help="a stream to stdout, or an outbox journal to the broker")
    again.add_argument("--since", required=True, type=_moment, help="a moment; UTC unless it says otherwise")
    source = again.add_mutually_exclusive_group(required=True)
    source.add_argument("--stream", choices=[stream.name for stream in topology.STREAMS])
    source.add_argument("--exchange", choices=[exchange.name for exchange in topology.EXCHANGES])
    again.add_argument("--database", default="DATABASE_URL", help="the setting with the URL of the journal")
    parked = commands.add_parser("dead-letters", help="messages that kept failing")
    parked.add_argument("action", choices=["list", "redrive"])
    parked.add_argument("--queue", choices=[queue.name for queue in topology.QUEUES])
    parked.add_argument("--limit", type=int, default=100)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; what the broker refuses or that it is away is told in one line."""
    given = _parser().parse_args(arguments)
    try:
        _run(given)
    except broker.BROKER_ERRORS as error:
        raise SystemExit(f"the broker says: {type(error).__name__}: {error}") from None


def _run(given: argparse.Namespace) -> None:
    with suppress(KeyboardInterrupt):
        if given.command == "declare":
            asyncio.run(declare())
        elif given.command == "tail":
            asyncio.run(tail(given.stream, given.start, given.count))
        elif given.command == "replay" and given.stream:
            asyncio.run(replay_stream(given.stream, given.since))
        elif given.command == "replay":
            asyncio.run(replay_journal(given.exchange, given.since, given.database))
        else:
            asyncio.run(dead_letters(given.action, given.queue, given.limit))


if __name__ == "__main__":
    main()
