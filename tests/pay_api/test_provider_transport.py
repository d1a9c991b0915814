"""The wire to the provider against a server that does what it likes: limits, shares, what was executed."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from pay_api.providers.base import NotExecuted, Unknown
from pay_api.providers.cloudpayments_http import MAX_ANSWER_BYTES, TRIES, Answered, Transport
from shared.ids import new_id

GOOD = b'{"Success":true,"Message":null}'


def answer(body: bytes = GOOD, status: str = "200 OK", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Server:
    """Answers each request with the next of ``answers`` (the last one repeats); None: hangs up."""

    answers: list[bytes | None] = field(default_factory=lambda: [answer()])
    pause_seconds: float = 0
    port: int = 0
    heads: list[str] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next((line for line in head.split("\r\n") if line.startswith("content-length")), ": 0")
        await reader.readexactly(int(length.split(":")[1]))
        self.heads.append(head)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(self.pause_seconds)
        self.in_flight -= 1
        given = self.answers[min(len(self.heads), len(self.answers)) - 1]
        with contextlib.suppress(ConnectionError):
            if given is not None:
                writer.write(given)
                await writer.drain()
            writer.close()

    def ids(self) -> set[str]:
        lines = [line for head in self.heads for line in head.split("\r\n")]
        return {line.partition(": ")[2] for line in lines if line.startswith("x-request-id")}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    listening = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = listening.sockets[0].getsockname()[1]
    yield found
    listening.close()


@pytest.fixture
async def transport(server: Server) -> AsyncIterator[Callable[..., Transport]]:
    made: list[Transport] = []

    def make(concurrent_calls: int = 5) -> Transport:
        url = f"http://127.0.0.1:{server.port}"
        made.append(Transport(url, "pk", "secret", concurrent_calls=concurrent_calls))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


async def test_too_many_is_not_executed_and_sent_again_under_the_same_id(
    server: Server, transport: Callable[..., Transport]
) -> None:
    server.answers = [answer(b"{}", "429 Too Many Requests"), answer()]
    request_id = new_id()
    assert await transport().post("/payments/refund", b"{}", request_id) == Answered(json.loads(GOOD))
    assert (len(server.heads), server.ids()) == (2, {str(request_id)})
    server.heads.clear()
    server.answers = [answer(b"{}", "429 Too Many Requests")]
    outcome = await transport().post("/payments/refund", b"{}", request_id)
    assert (outcome, len(server.heads)) == (NotExecuted("status 429"), TRIES)


@pytest.mark.parametrize("share", [1, 3])
async def test_a_process_keeps_to_its_share(
    server: Server, transport: Callable[..., Transport], share: int
) -> None:
    server.pause_seconds = 0.02
    wire = transport(share)
    outcomes = await asyncio.gather(*(wire.post("/payments/get", b"{}") for _ in range(4 * share)))
    assert all(isinstance(outcome, Answered) for outcome in outcomes)
    assert (server.most_in_flight, len(server.heads)) == (share, 4 * share)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (None, "RemoteProtocolError"),
        (answer(b"<h1>502</h1>", "502 Bad Gateway"), "status 502"),
        (answer(b"", "302 Found", "Location: http://127.0.0.1:9/"), "status 302"),
        (answer(b'{"Success":tr'), "the answer is not JSON"),
        (answer(b"[" * 100_000), "the answer is not JSON"),
        (answer(b"[1]"), "the answer is not an object"),
        (answer(b'{"Message":"' + b"x" * MAX_ANSWER_BYTES + b'"}'), "the answer is too large"),
        (
            answer(gzip.compress(b" " * 50 * 2**20), "200 OK", "Content-Encoding: gzip"),
            "the answer is too large",
        ),
    ],
)
async def test_whatever_else_comes_is_unknown_and_never_sent_again(
    server: Server, transport: Callable[..., Transport], given: bytes | None, why: str
) -> None:
    server.answers = [given]
    outcome = await transport().post("/payments/cards/charge", b"{}", new_id())
    assert (outcome, len(server.heads)) == (Unknown(why), 1)


async def test_nothing_sent_is_not_executed(server: Server, transport: Callable[..., Transport]) -> None:
    wire = Transport("http://127.0.0.1:9", "pk", "secret", concurrent_calls=1)
    assert await wire.post("/payments/cards/charge", b"{}", new_id()) == NotExecuted("ConnectError")
    await wire.aclose()


async def test_amounts_of_answers_are_exact(server: Server, transport: Callable[..., Transport]) -> None:
    server.answers = [answer(b'{"Amount":0.10000000000000000555}')]
    outcome = await transport().post("/payments/get", b"{}")
    assert isinstance(outcome, Answered)
    assert str(outcome.body["Amount"]) == "0.10000000000000000555"
    assert "accept-encoding: identity" in server.heads[0]
