"""The only file that knows RabbitMQ: connecting, declaring, publishing with confirms, reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage
from aio_pika.exceptions import (
    AMQPError,
    ChannelClosed,
    ChannelInvalidStateError,
    ChannelPreconditionFailed,
    DeliveryError,
)
from aiormq.exceptions import AMQPError as WireError

from shared import logs
from shared.queue import topology

CONFIRM_TIMEOUT_SECONDS: Final = 5.0
NO_CONFIRM: Final = f"TimeoutError: no confirm within {CONFIRM_TIMEOUT_SECONDS:.0f} s"
CONNECT_TIMEOUT_SECONDS: Final = 5.0
CONTENT_TYPE: Final = "application/cloudevents+json"
# What any call here may raise when the broker refuses, is away or goes away meanwhile.
BROKER_ERRORS: Final = (
    AMQPError,
    WireError,
    DeliveryError,
    ChannelInvalidStateError,
    ConnectionError,
    OSError,
    TimeoutError,
    RuntimeError,  # the client's own way to say that a transport is closed
)


log = logs.logger(__name__)


class NotDelivered(Exception):
    """The broker did not confirm: the message may or may not be there, publish it again."""


@asynccontextmanager
async def connected(amqp_url: str, name: str) -> AsyncIterator[AbstractConnection]:
    """One plain connection; whoever uses it reconnects by coming again (heartbeat 10 s)."""
    connection = await aio_pika.connect(
        amqp_url,
        timeout=CONNECT_TIMEOUT_SECONDS,
        heartbeat=10,
        client_properties={"connection_name": name},
    )
    try:
        yield connection
    finally:
        with suppress(*BROKER_ERRORS):  # gone already is what was wanted
            await asyncio.wait_for(connection.close(), CONNECT_TIMEOUT_SECONDS)


async def declare_topology(connection: AbstractConnection) -> None:
    """Declares everything of ``topology.py``; safe to repeat, fails loudly on a differing declaration."""
    channel = await connection.channel()
    exchanges: dict[str, AbstractExchange] = {}
    for exchange in topology.EXCHANGES:
        exchanges[exchange.name] = await channel.declare_exchange(
            exchange.name, aio_pika.ExchangeType.TOPIC, durable=True
        )
    await channel.declare_exchange(topology.DEAD_LETTER_EXCHANGE, aio_pika.ExchangeType.DIRECT, durable=True)
    for queue in topology.QUEUES:
        await _declare_parking(connection, queue)
        declared = await channel.declare_queue(queue.name, durable=True, arguments=queue.arguments())
        for key in queue.binding_keys:
            await declared.bind(exchanges[queue.exchange], routing_key=key)
    for stream in topology.STREAMS:
        declared = await channel.declare_queue(stream.name, durable=True, arguments=stream.arguments())
        await declared.bind(exchanges[stream.exchange], routing_key="#")
    await channel.close()


async def _declare_parking(connection: AbstractConnection, queue: topology.ServiceQueue) -> None:
    """A dead-letter queue; one that an older version declared otherwise is made anew once it is empty."""
    name, arguments = queue.dead_letter_queue, queue.dead_letter_arguments()
    channel = await connection.channel()
    try:
        dead = await channel.declare_queue(name, durable=True, arguments=arguments)
    except ChannelPreconditionFailed:  # which closes the channel
        channel = await connection.channel()
        dead = await channel.declare_queue(name, passive=True)
        await dead.unbind(topology.DEAD_LETTER_EXCHANGE, routing_key=queue.name)  # parking waits meanwhile
        dead = await channel.declare_queue(name, passive=True)
        if dead.declaration_result.message_count:
            log.warning(
                "dead-letter-queue-is-of-an-older-version", queue=name, advice="redrive, then declare"
            )
        else:
            await channel.queue_delete(name)
            dead = await channel.declare_queue(name, durable=True, arguments=arguments)
    await dead.bind(topology.DEAD_LETTER_EXCHANGE, routing_key=queue.name)
    await channel.close()


class Presence:
    """Asks whether everything that must be bound to some exchanges exists, on a channel kept meanwhile."""

    def __init__(self, connection: AbstractConnection, exchanges: list[str]) -> None:
        self._connection = connection
        self._names = [name for exchange in exchanges for name in topology.bound_to(exchange)]
        self._channel: AbstractChannel | None = None

    async def missing(self) -> list[str]:
        """Queues and streams that should be there and are not; raises when the broker does not answer."""
        missing = []
        async with asyncio.timeout(CONFIRM_TIMEOUT_SECONDS):
            for name in self._names:
                if self._channel is None:
                    self._channel = await self._connection.channel()
                try:
                    await self._channel.declare_queue(name, passive=True)
                except ChannelClosed:
                    missing.append(name)
                    self._channel = None  # 404 closes the channel
        return missing


async def missing_queues(connection: AbstractConnection, exchanges: list[str]) -> list[str]:
    """Queues and streams that should be bound to these exchanges and do not exist."""
    return await Presence(connection, exchanges).missing()


async def depths(connection: AbstractConnection, names: list[str]) -> dict[str, int]:
    """Messages ready in queues, by passive declarations; queues that do not exist are left out."""
    found = {}
    for name in names:
        channel = await connection.channel()
        try:
            declared = await channel.declare_queue(name, passive=True)
        except ChannelClosed:
            continue
        found[name] = declared.declaration_result.message_count or 0
        await channel.close()
    return found


class Publisher:
    """Publishes with confirms; an unroutable message is an error, not a success."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel
        self._exchanges: dict[str, AbstractExchange] = {}

    @classmethod
    async def open(cls, connection: AbstractConnection) -> Publisher:
        return cls(await connection.channel(publisher_confirms=True, on_return_raises=True))

    async def publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        *,
        message_id: str,
        headers: dict[str, Any] | None = None,
        mandatory: bool = True,
    ) -> None:
        """``send``, which also fails when the broker is silent for 5 seconds (as under its alarms)."""
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT_SECONDS):
                await self.send(
                    exchange, routing_key, body, message_id=message_id, headers=headers, mandatory=mandatory
                )
        except TimeoutError as error:
            raise NotDelivered(NO_CONFIRM) from error

    async def send(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        *,
        message_id: str,
        headers: dict[str, Any] | None = None,
        mandatory: bool = True,
    ) -> None:
        """Raises NotDelivered when the broker refuses or goes away; waits for its confirm without end.

        A ``mandatory`` message that no queue takes is not delivered either.
        """
        message = aio_pika.Message(
            body,
            content_type=CONTENT_TYPE,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=message_id,
            headers=headers,
        )
        try:
            target = await self._exchange(exchange)
            await target.publish(message, routing_key, mandatory=mandatory)
        except BROKER_ERRORS as error:
            raise NotDelivered(f"{type(error).__name__}: {error}"[:500]) from error

    async def _exchange(self, name: str) -> AbstractExchange:
        if not name:
            return self._channel.default_exchange
        if name not in self._exchanges:
            self._exchanges[name] = await self._channel.get_exchange(name, ensure=False)
        return self._exchanges[name]


@asynccontextmanager
async def messages(
    connection: AbstractConnection, queue: str, *, prefetch: int
) -> AsyncIterator[AsyncIterator[AbstractIncomingMessage]]:
    """Messages of a service queue, to be acknowledged one by one after their effect is committed."""
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=prefetch)
    source = await channel.get_queue(queue, ensure=True)
    async with source.iterator() as iterator:
        yield iterator


async def read_stream(
    connection: AbstractConnection, stream: str, offset: str | int | datetime
) -> AsyncGenerator[AbstractIncomingMessage]:
    """Messages of a stream from ``first``, ``last``, ``next``, a number or a moment on, without end.

    Close it (``aclosing``) before the connection. Raises ConnectionError when the broker ends it. aio-pika's
    own iterator is not for streams: it hands back what it has not given out, which they do not support.
    """
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=100)
    source = await channel.get_queue(stream, ensure=False)
    arrived: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()
    channel.close_callbacks.add(lambda *_: arrived.put_nowait(None))
    try:
        await source.consume(arrived.put, arguments={"x-stream-offset": offset})
        while (message := await arrived.get()) is not None:
            yield message
            await message.ack()
        raise ConnectionError(f"the broker ended {stream}")
    finally:
        with suppress(*BROKER_ERRORS):
            await channel.close()


async def take(
    connection: AbstractConnection, queue: str, limit: int
) -> AsyncIterator[AbstractIncomingMessage]:
    """Up to ``limit`` waiting messages of a queue, not acknowledged; unsettled ones return on close."""
    channel = await connection.channel()
    source = await channel.get_queue(queue, ensure=False)
    for _ in range(limit):
        message = await source.get(no_ack=False, fail=False)
        if message is None:
            return
        yield message
