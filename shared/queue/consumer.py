"""Runs a consumer of one service queue: ordered per aggregate, retried with delay, parked with its reason."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from pydantic import ValidationError

from shared import correlation, logs, metrics, tracing
from shared.clock import Clock
from shared.failpoints import failpoint
from shared.queue import broker, inbox
from shared.queue.messages import catalog, invoices, payments, users
from shared.queue.messages.base import Envelope, UnknownEvent, parse, state_of
from shared.queue.outages import is_database_away, is_outage
from shared.queue.parking import Parking

MAX_ATTEMPTS: Final = 5
HANDLER_SECONDS: Final = 30
PREFETCH: Final = 64
LANES: Final = 8
OUTAGE_DELAY_SECONDS: Final = 2.0
# A database that is away for longer than this: the messages go back and wait in the broker, once.
OUTAGE_PATIENCE_SECONDS: Final = 60.0
# Something else that a handler calls "unavailable" for longer than this counts as the message's own failure.
UNAVAILABLE_PATIENCE_SECONDS: Final = 900.0
PARK_AGAIN_SECONDS: Final = 10.0
_STEADY_SECONDS: Final = 10.0

EVENTS: Final = (catalog, invoices, payments, users)  # importing them is what makes their types known

log = logs.logger(__name__)
Handler = Callable[[Envelope], Awaitable[None]]
_DATABASE_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
_NAMED: Final = re.compile(r":([a-z_]+)")


class DatabaseAway(Exception):
    """The consumer's database has not answered for a while: nothing is consumed until it does."""


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
    outage_patience_seconds: float = OUTAGE_PATIENCE_SECONDS
    park_again_seconds: float = PARK_AGAIN_SECONDS

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop``; then finishes what it has begun. Reconnects by itself."""
        delay, loop = 0.2, asyncio.get_running_loop()
        while not stop.is_set():
            await self._until_database_answers(stop)
            began_at = loop.time()
            try:
                async with broker.connected(self.amqp_url, self.queue) as connection:
                    await _Session(self, connection).run(stop)
            except (*broker.BROKER_ERRORS, broker.NotDelivered, DatabaseAway) as error:
                log.warning("consumer-interrupted", queue=self.queue, error=type(error).__name__)
                delay = 0.2 if loop.time() - began_at > _STEADY_SECONDS else min(delay * 2, 5.0)
                await _sleep(stop, delay)

    async def _until_database_answers(self, stop: asyncio.Event) -> None:
        # Every return of a message counts towards the broker's delivery limit: none is taken in vain.
        delay = 0.5
        while not stop.is_set():
            try:
                await self._execute("SELECT 1", {})
            except _DATABASE_ERRORS as error:
                log.error("consumer-waits-for-database", queue=self.queue, error=type(error).__name__)
                await _sleep(stop, delay)
                delay = min(delay * 2, 5.0)
            else:
                return

    async def record_failure(self, envelope: Envelope, error: str) -> int:
        """Counts a failed try in the inbox, in a transaction of its own; gives the number so far.

        0 when there is nothing to count on: the event took effect and the handler failed after it.
        """
        given = inbox.parameters(self.queue, envelope, self.clock.now()) | {"error": error}
        return int(await self._execute(inbox.FAILED_SQL, given) or 0)

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
        self._waiting: set[asyncio.Task[None]] = set()  # bounded by the prefetch
        self._tries: Counter[UUID] = Counter()
        self._unavailable_since: dict[UUID, float] = {}
        self._database_away_since: float | None = None
        self._parking = Parking(consumer.amqp_url, consumer.queue, consumer.clock)

    async def run(self, stop: asyncio.Event) -> None:
        workers = [asyncio.create_task(self._work(lane)) for lane in self._lanes]
        try:
            async with broker.messages(self._connection, self._consumer.queue, prefetch=PREFETCH) as incoming:
                await self._receive(incoming, workers, stop)
            await self._drain(workers)
        finally:
            for task in (*workers, *self._waiting):
                task.cancel()
            await asyncio.gather(*workers, *self._waiting, return_exceptions=True)
            await self._parking.close()

    async def _receive(self, incoming: Any, workers: list[asyncio.Task[None]], stop: asyncio.Event) -> None:
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                following = asyncio.ensure_future(anext(incoming, None))
                done, _ = await asyncio.wait(
                    {following, stopping, *workers}, return_when=asyncio.FIRST_COMPLETED
                )
                if following not in done:
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
                for worker in workers:
                    if worker in done:
                        worker.result()  # a lane only ends by the broker or the database going away
                        raise ConnectionError("a lane ended")
                if following not in done:
                    return
                message = following.result()
                if message is None:
                    raise ConnectionError("the broker ended the subscription")
                await self._dispatch(message)
        finally:
            stopping.cancel()

    async def _drain(self, workers: list[asyncio.Task[None]]) -> None:
        """Lets the lanes finish what they hold; what is not finished in time goes back to the queue."""
        empty = asyncio.gather(*(lane.join() for lane in self._lanes))
        ended: set[asyncio.Future[Any]] = {empty, *workers}
        try:
            await asyncio.wait(ended, timeout=HANDLER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            empty.cancel()
            await asyncio.gather(empty, return_exceptions=True)

    async def _dispatch(self, message: AbstractIncomingMessage) -> None:
        failpoint("consumer.after_receive")
        try:
            envelope = parse(message.body)
            state_of(envelope)
        except (ValidationError, UnknownEvent, ValueError) as error:
            # Tries would not help a message nobody can read; it is kept, with the reason.
            self._start(self._park(message, f"unreadable: {str(error).splitlines()[0]}", 0, None))
            return
        self._lane(envelope).put_nowait((message, envelope))

    def _lane(self, envelope: Envelope) -> asyncio.Queue[tuple[AbstractIncomingMessage, Envelope]]:
        return self._lanes[envelope.aggregateid.int % LANES]

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
        self._database_away_since = None
        failpoint("consumer.after_commit_before_ack")
        await self._settle(message, envelope)
        metrics.EVENTS_CONSUMED.labels(queue, envelope.type, "handled").inc()

    async def _settle(self, message: AbstractIncomingMessage, envelope: Envelope | None) -> None:
        await message.ack()
        if envelope is not None:
            self._tries.pop(envelope.id, None)
            self._unavailable_since.pop(envelope.id, None)

    async def _failed(self, message: AbstractIncomingMessage, envelope: Envelope, error: Exception) -> None:
        consumer = self._consumer
        words = f"{type(error).__name__}: {error}"[:500]
        attempts = 0 if self._excused(envelope, error) else await self._count(envelope, words)
        log.warning(
            "event-failed",
            queue=consumer.queue,
            type=envelope.type,
            attempts=attempts,
            error=words,
            exc_info=error if attempts == 1 else None,
        )
        if attempts >= consumer.max_attempts:
            self._start(self._park(message, words, attempts, envelope))  # off the lane, too
            return
        delay = consumer.first_delay_seconds * 2**attempts if attempts else OUTAGE_DELAY_SECONDS
        self._start(self._later(delay, message, envelope))

    def _excused(self, envelope: Envelope, error: Exception) -> bool:
        """Whether the failure is an outage, which costs no try. Raises DatabaseAway after a long one."""
        now = asyncio.get_running_loop().time()
        if is_database_away(error):
            self._database_away_since = self._database_away_since or now
            if now - self._database_away_since > self._consumer.outage_patience_seconds:
                raise DatabaseAway from error
            return True
        since = self._unavailable_since.setdefault(envelope.id, now)
        return is_outage(error) and now - since < UNAVAILABLE_PATIENCE_SECONDS

    async def _count(self, envelope: Envelope, words: str) -> int:
        """Tries so far, by the inbox or by this session, whichever knows of more."""
        self._tries[envelope.id] += 1
        recorded = 0
        with suppress(*_DATABASE_ERRORS):
            recorded = await self._consumer.record_failure(envelope, words)
        return max(recorded, self._tries[envelope.id])

    def _start(self, later: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(later)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _later(self, seconds: float, message: AbstractIncomingMessage, envelope: Envelope) -> None:
        await asyncio.sleep(seconds)  # off the lane: others flow meanwhile
        self._lane(envelope).put_nowait((message, envelope))

    async def _park(
        self, message: AbstractIncomingMessage, reason: str, attempts: int, envelope: Envelope | None
    ) -> None:
        """Moves a message to its dead-letter queue with the reason, and only then acknowledges it.

        While the dead-letter queue is full or the broker under an alarm the message stays with us and is
        parked later; others flow.
        """
        queue = self._consumer.queue
        while True:
            try:
                await self._parking.put(message, reason, attempts)
                break
            except broker.NotDelivered as error:
                log.error("event-not-parked", queue=queue, reason=reason, error=str(error))
                metrics.EVENTS_CONSUMED.labels(queue, message.routing_key or "", "not-parked").inc()
            await asyncio.sleep(self._consumer.park_again_seconds)
        with suppress(*broker.BROKER_ERRORS):  # the session is ending: the message will be parked twice
            await self._settle(message, envelope)
        metrics.EVENTS_CONSUMED.labels(queue, message.routing_key or "", "parked").inc()
        log.error("event-parked", queue=queue, reason=reason, attempts=attempts)
        if envelope is not None:
            with suppress(*_DATABASE_ERRORS):  # the inbox then says "failed", and counts on
                await self._consumer.record_parked(envelope)


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
