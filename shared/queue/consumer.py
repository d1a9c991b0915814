"""Runs a consumer of one service queue: ordered per aggregate, retried with delay, parked with its reason."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from pydantic import ValidationError

from shared import correlation, logs, metrics, tracing
from shared.clock import Clock
from shared.errors import AppError, Kind
from shared.ids import new_id
from shared.queue import broker, inbox, topology
from shared.queue.messages.base import Envelope, UnknownEvent, parse, state_of

MAX_ATTEMPTS: Final = 5
HANDLER_SECONDS: Final = 30
PREFETCH: Final = 64
LANES: Final = 8

log = logs.logger(__name__)
Handler = Callable[[Envelope], Awaitable[None]]

_OUTAGES: Final = {
    "ConnectionDoesNotExistError",
    "ConnectionFailureError",
    "CannotConnectNowError",
    "AdminShutdownError",
    "TooManyConnectionsError",
    "InterfaceError",
    "OperationalError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "gaierror",
}
_NAMED: Final = re.compile(r":([a-z_]+)")


def is_outage(error: BaseException) -> bool:
    """Whether the handler's own database or network is away: no fault of the message, so no try is spent."""
    if isinstance(error, AppError):
        return error.kind is Kind.UNAVAILABLE
    chain: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in chain:
        chain.append(seen)
        seen = seen.__cause__ or seen.__context__
    # psycopg2 and Django use OperationalError for lock and statement time-outs too; those carry an SQLSTATE.
    if any(getattr(link, "pgcode", None) for link in chain):
        return False
    return any(type(link).__name__ in _OUTAGES for link in chain)


def _positional(sql: str, names: list[str]) -> str:
    """``:name`` parameters as asyncpg's ``$n``."""
    return _NAMED.sub(lambda found: f"${names.index(found.group(1)) + 1}", sql)


@dataclass(slots=True)
class Consumer:
    """Consumes ``queue``; ``handle`` applies one event in its own transaction (with the inbox row in it)."""

    queue: str
    amqp_url: str
    database_url: str
    clock: Clock
    handle: Handler
    max_attempts: int = MAX_ATTEMPTS
    first_delay_seconds: float = 0.5

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop``; then finishes what it has begun. Reconnects by itself."""
        delay = 0.2
        while not stop.is_set():
            try:
                async with broker.connected(self.amqp_url, self.queue) as connection:
                    delay = 0.2
                    await _Session(self, connection).run(stop)
            except (*broker.BROKER_ERRORS, broker.NotDelivered) as error:
                log.warning("consumer-interrupted", queue=self.queue, error=type(error).__name__)
                await _sleep(stop, delay)
                delay = min(delay * 2, 5.0)

    async def record_failure(self, envelope: Envelope, error: str) -> int:
        """Counts a failed try in the inbox, in a transaction of its own; gives the number so far."""
        given = inbox.parameters(self.queue, envelope, self.clock.now()) | {"error": error}
        attempts = await self._execute(inbox.FAILED_SQL, given)
        return int(attempts or 1)

    async def record_parked(self, envelope: Envelope) -> None:
        await self._execute(inbox.PARKED_SQL, inbox.parameters(self.queue, envelope, self.clock.now()))

    async def _execute(self, sql: str, given: dict[str, Any]) -> Any:
        names = [name for name in given if f":{name}" in sql]
        connection = await asyncpg.connect(self.database_url, timeout=5, command_timeout=10)
        try:
            return await connection.fetchval(_positional(sql, names), *(given[name] for name in names))
        finally:
            await connection.close(timeout=2)


class _Session:
    """One connection's worth of consuming."""

    def __init__(self, consumer: Consumer, connection: AbstractConnection) -> None:
        self._consumer = consumer
        self._connection = connection
        self._lanes: list[asyncio.Queue[tuple[AbstractIncomingMessage, Envelope]]] = [
            asyncio.Queue() for _ in range(LANES)
        ]
        self._retries: set[asyncio.Task[None]] = set()
        self._publisher: broker.Publisher | None = None

    async def run(self, stop: asyncio.Event) -> None:
        workers = [asyncio.create_task(self._work(lane)) for lane in self._lanes]
        try:
            async with broker.messages(self._connection, self._consumer.queue, prefetch=PREFETCH) as incoming:
                await self._receive(incoming, workers, stop)
            await asyncio.wait_for(self._drained(), HANDLER_SECONDS)
        finally:
            for task in (*workers, *self._retries):
                task.cancel()
            await asyncio.gather(*workers, *self._retries, return_exceptions=True)

    async def _receive(self, incoming: Any, workers: list[asyncio.Task[None]], stop: asyncio.Event) -> None:
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                following = asyncio.ensure_future(anext(incoming, None))
                done, _ = await asyncio.wait(
                    {following, stopping, *workers}, return_when=asyncio.FIRST_COMPLETED
                )
                for worker in workers:
                    if worker in done:
                        worker.result()  # a lane only ends by the broker going away
                        raise ConnectionError("a lane ended")
                if following not in done:
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
                    return
                message = following.result()
                if message is None:
                    raise ConnectionError("the broker ended the subscription")
                await self._dispatch(message)
        finally:
            stopping.cancel()

    async def _drained(self) -> None:
        await asyncio.gather(*(lane.join() for lane in self._lanes))

    async def _dispatch(self, message: AbstractIncomingMessage) -> None:
        try:
            envelope = parse(message.body)
            state_of(envelope)
        except (ValidationError, UnknownEvent, ValueError) as error:
            # Tries would not help a message nobody can read; it is kept, with the reason.
            await self._park(message, f"unreadable: {str(error).splitlines()[0]}", 0)
            return
        lane = self._lanes[envelope.aggregateid.int % LANES]
        lane.put_nowait((message, envelope))

    async def _work(self, lane: asyncio.Queue[tuple[AbstractIncomingMessage, Envelope]]) -> None:
        while True:
            message, envelope = await lane.get()
            try:
                await self._handle(message, envelope)
            finally:
                lane.task_done()

    async def _handle(self, message: AbstractIncomingMessage, envelope: Envelope) -> None:
        queue = self._consumer.queue
        with correlation.correlated(envelope.correlationid, str(envelope.id)):
            try:
                with tracing.consuming(queue, envelope.type, str(envelope.id), envelope.traceparent):
                    async with asyncio.timeout(HANDLER_SECONDS):
                        await self._consumer.handle(envelope)
            except Exception as error:  # the outcome of any failure is decided below
                metrics.EVENTS_CONSUMED.labels(queue, envelope.type, "failed").inc()
                await self._failed(message, envelope, error)
                return
        await message.ack()
        metrics.EVENTS_CONSUMED.labels(queue, envelope.type, "handled").inc()

    async def _failed(self, message: AbstractIncomingMessage, envelope: Envelope, error: Exception) -> None:
        consumer = self._consumer
        words = f"{type(error).__name__}: {error}"[:500]
        attempts = 0
        if not is_outage(error):
            try:
                attempts = await consumer.record_failure(envelope, words)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                attempts = 0
        log.warning(
            "event-failed",
            queue=consumer.queue,
            type=envelope.type,
            attempts=attempts,
            error=words,
            exc_info=error if attempts == 1 else None,
        )
        if attempts >= consumer.max_attempts:
            await self._park(message, words, attempts)
            await consumer.record_parked(envelope)
            return
        delay = consumer.first_delay_seconds * 2**attempts if attempts else 2.0
        retry = asyncio.create_task(self._later(delay, message, envelope))
        self._retries.add(retry)
        retry.add_done_callback(self._retries.discard)

    async def _later(self, seconds: float, message: AbstractIncomingMessage, envelope: Envelope) -> None:
        await asyncio.sleep(seconds)  # off the lane: others flow meanwhile
        self._lanes[envelope.aggregateid.int % LANES].put_nowait((message, envelope))

    async def _park(self, message: AbstractIncomingMessage, reason: str, attempts: int) -> None:
        """Moves a message to its dead-letter queue with the reason, and only then acknowledges it."""
        if self._publisher is None:
            self._publisher = await broker.Publisher.open(self._connection)
        headers: dict[str, Any] = {
            "x-reason": reason[:500],
            "x-attempts": attempts,
            "x-queue": self._consumer.queue,
            "x-routing-key": message.routing_key or "",
            "x-parked-at": self._consumer.clock.now().isoformat(),
        }
        await self._publisher.publish(
            topology.DEAD_LETTER_EXCHANGE,
            self._consumer.queue,
            message.body,
            message_id=message.message_id or str(new_id()),
            headers=headers,
        )
        await message.ack()
        metrics.EVENTS_CONSUMED.labels(self._consumer.queue, message.routing_key or "", "parked").inc()
        log.error("event-parked", queue=self._consumer.queue, reason=reason, attempts=attempts)


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
