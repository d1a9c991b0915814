"""A process that relays an outbox and consumes its own events, for tests to kill; settings by environment."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime

import psycopg2

from shared.clock import SystemClock
from shared.queue import inbox
from shared.queue.consumer import Consumer
from shared.queue.messages.base import Envelope
from shared.queue.relay import Relay

QUEUE = "billing.payments"
DATABASE_URL = os.environ["DATABASE_URL"]
AMQP_URL = os.environ["AMQP_URL"]


def apply(envelope: Envelope) -> None:
    connection = psycopg2.connect(DATABASE_URL)
    try:
        with connection, connection.cursor() as cursor:
            if inbox.accept_sync(cursor, QUEUE, envelope, datetime.now(UTC)):
                values = (str(envelope.aggregateid), envelope.aggregatesequence, envelope.data["status"])
                cursor.execute("INSERT INTO effect VALUES (%s, %s, %s)", values)
    finally:
        connection.close()


async def handle(envelope: Envelope) -> None:
    await asyncio.to_thread(apply, envelope)


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    relay = Relay(DATABASE_URL, AMQP_URL, "pay-api", ["payments"], batch=10, lease_seconds=1)
    consumer = Consumer(QUEUE, AMQP_URL, DATABASE_URL, SystemClock(), handle)
    await asyncio.gather(relay.run(stop), consumer.run(stop))


if __name__ == "__main__":
    asyncio.run(main())
