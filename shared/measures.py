"""Figures a worker reads from its database and its queues now and then, shown on its ``/metrics``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
from prometheus_client import Gauge

from shared import logs
from shared.queue import broker, topology

EVERY_SECONDS: Final = 15.0
QUEUE_MESSAGES: Final = Gauge("queue_messages", "Messages waiting, dead letters included", ["queue"])

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Measure:
    """A gauge and the query that fills it: the last column is the figure, those before it are its labels."""

    gauge: Gauge
    sql: str


@dataclass(frozen=True, slots=True)
class Measures:
    """What one worker measures; ``service`` consumes the queues that are counted."""

    service: str
    database_url: str
    amqp_url: str
    measures: Sequence[Measure] = ()
    every_seconds: float = EVERY_SECONDS

    async def run(self, stop: asyncio.Event) -> None:
        """Measures until ``stop``; what cannot be reached is tried again, its last figures stay."""
        while not stop.is_set():
            await self.measure()
            try:
                async with asyncio.timeout(self.every_seconds):
                    await stop.wait()
            except TimeoutError:
                continue

    async def measure(self) -> None:
        """Once."""
        try:
            await self._count_rows()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            log.warning("not-measured", what="database", error=type(error).__name__)
        try:
            await self._count_messages()
        except broker.BROKER_ERRORS as error:
            log.warning("not-measured", what="queues", error=type(error).__name__)

    async def _count_rows(self) -> None:
        if not self.measures:
            return
        connection = await asyncpg.connect(self.database_url, timeout=5, command_timeout=5)
        try:
            for measure in self.measures:
                rows = await connection.fetch(measure.sql)
                if measure.gauge._labelnames:
                    measure.gauge.clear()  # a state nothing is in any more shows no old figure
                for *labels, value in rows:
                    gauge = measure.gauge.labels(*map(str, labels)) if labels else measure.gauge
                    gauge.set(float(value))
        finally:
            await connection.close(timeout=2)

    async def _count_messages(self) -> None:
        names = [
            name
            for queue in topology.QUEUES
            if queue.consumer == self.service
            for name in (queue.name, queue.dead_letter_queue)
        ]
        if not names:
            return
        async with broker.connected(self.amqp_url, f"{self.service}-measures") as connection:
            for name, waiting in (await broker.depths(connection, names)).items():
                QUEUE_MESSAGES.labels(name).set(waiting)
