"""Drives HTTP/1.1 servers over raw keep-alive connections, cheaply: the server is the bottleneck."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    status: int
    body: bytes


class Connection:
    """One keep-alive connection; answers must carry Content-Length."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> Answer:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        start = lowered.index(b"content-length:") + 15
        length = int(lowered[start : lowered.index(b"\r\n", start)])
        body = await self._reader.readexactly(length) if length else b""
        return Answer(int(head[9:12]), body)

    def close(self) -> None:
        self._writer.close()


@dataclass
class Outcome:
    """What a round saw; ``seconds`` are latencies of single requests."""

    took_seconds: float = 0.0
    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    granted: int = 0

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.took_seconds if self.took_seconds else 0.0

    def quantile_ms(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return 1000 * ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    def add(self, answer: Answer, seconds: float) -> None:
        self.seconds.append(seconds)
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        self.granted += b'"granted":true' in answer.body


def get(path: str, token: str = "") -> bytes:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{authorization}\r\n".encode()


def post(path: str, body: bytes, token: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class _Asker(asyncio.Protocol):
    """Asks again as soon as the answer is there; without streams, which would cost more than some servers."""

    def __init__(self, requests: Sequence[bytes], turn: int, step: int, outcome: Outcome) -> None:
        self._requests, self._turn, self._step, self._outcome = requests, turn, step, outcome
        self._buffer = b""
        self._asked = 0.0
        self.deadline = 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._requests[self._turn % len(self._requests)])
        self._turn += self._step

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        lowered = self._buffer[:end].lower() + b"\r\n"
        start = lowered.index(b"content-length:") + 15
        length = int(lowered[start : lowered.index(b"\r\n", start)])
        if len(self._buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        self._outcome.add(Answer(int(lowered[9:12]), self._buffer[end + 4 :]), now - self._asked)
        self._buffer = b""
        if now < self.deadline:
            self.ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def closed_loop(
    port: int, requests: Sequence[bytes], connections: int, duration_seconds: float
) -> Outcome:
    """Every connection asks again as soon as it has its answer."""
    outcome = Outcome()
    loop = asyncio.get_running_loop()
    askers: list[_Asker] = []
    for number in range(connections):
        asker = _Asker(requests, number, connections, outcome)
        await loop.create_connection(lambda made=asker: made, "127.0.0.1", port)
        askers.append(asker)
    began = time.perf_counter()
    for asker in askers:
        asker.deadline = began + duration_seconds
        asker.ask()
    await asyncio.gather(*(asker.done for asker in askers))
    outcome.took_seconds = time.perf_counter() - began
    return outcome


async def open_loop(
    port: int, make_request: Callable[[int], bytes], per_second: float, duration_seconds: float
) -> Outcome:
    """A request every ``1/per_second``, come what may; latency counts from when it was due."""
    outcome = Outcome()
    idle: list[Connection] = []
    began = time.perf_counter()

    async def one(number: int, due: float) -> None:
        connection = idle.pop() if idle else await Connection.open(port)
        answer = await connection.ask(make_request(number))
        outcome.add(answer, time.perf_counter() - due)
        idle.append(connection)

    async with asyncio.TaskGroup() as group:
        for number in range(int(per_second * duration_seconds)):
            due = began + number / per_second
            if (rest := due - time.perf_counter()) > 0:
                await asyncio.sleep(rest)
            group.create_task(one(number, due))
    outcome.took_seconds = time.perf_counter() - began
    for connection in idle:
        connection.close()
    return outcome


async def one_by_one(port: int, requests: Sequence[bytes]) -> Outcome:
    """One connection, one request after another."""
    outcome = Outcome()
    connection = await Connection.open(port)
    began = time.perf_counter()
    for request in requests:
        asked = time.perf_counter()
        outcome.add(await connection.ask(request), time.perf_counter() - asked)
    outcome.took_seconds = time.perf_counter() - began
    connection.close()
    return outcome
