"""Carries one request to CloudPayments and tells apart: answered, not executed, unknown."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import sys
from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec
from typing import Any, Final
from uuid import UUID

import httpx
from prometheus_client import Counter

from pay_api import timeouts
from pay_api.providers.base import NotExecuted, Unknown
from shared import failpoints, logs, wait_budget

TRIES: Final = 3  # only of what was certainly not executed
_PAUSE_SECONDS: Final = 0.2
# Servers close a quiet connection after some seconds (5 and more); a charge sent into one that is just being
# closed has no verdict. So ours are given up first.
_KEEP_ALIVE_SECONDS: Final = 2.0
MAX_ANSWER_BYTES: Final = 2**20  # a page of the register has 100 operations of some 2 KB each
_PIECE_BYTES: Final = 2**16

CALLS: Final = Counter("provider_calls_total", "Calls to the payment provider", ["path", "outcome"])

if find_spec("sniffio") is None:
    # httpcore tries to import it several times a call, each time all along the path: known to be absent now.
    sys.modules["sniffio"] = None  # type: ignore[assignment]

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """A JSON object with HTTP 200; numbers with a point are Decimal."""

    body: dict[str, Any]


def _watched() -> dict[str, Any]:
    """Lets a test end the process when a request has left and no answer has come."""
    if not failpoints.configured():
        return {}

    async def trace(event: str, _: Any) -> None:
        if event.endswith("send_request_body.complete"):
            failpoints.failpoint("pay.charge.after_bytes_sent")

    return {"trace": trace}


async def _read(response: httpx.Response) -> bytes | None:
    """The whole answer; None for one larger than any the provider gives, of which no more is read."""
    read = bytearray()
    async for piece in response.aiter_bytes(_PIECE_BYTES):
        read += piece
        if len(read) > MAX_ANSWER_BYTES:
            return None
    return bytes(read)


class Transport:
    """POST of JSON with HTTP Basic; ``concurrent_calls`` is this process's share of the provider's limit."""

    def __init__(self, base_url: str, public_id: str, secret: str, *, concurrent_calls: int) -> None:
        self._turns = asyncio.Semaphore(concurrent_calls)
        # httpx without its client: there are no cookies, redirects or addresses to merge here, and every
        # payment waits for this call.
        self._http = httpx.AsyncHTTPTransport(
            trust_env=False, limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE_SECONDS)
        )
        self._base_url = base_url.rstrip("/")
        credential = base64.b64encode(f"{public_id}:{secret}".encode()).decode()
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # nothing small unpacks into something large
            "Authorization": f"Basic {credential}",
            "User-Agent": "cinema-pay-api",
        }
        timeout = httpx.Timeout(timeouts.PROVIDER_CALL, connect=timeouts.PROVIDER_CONNECT)
        self._extensions = {"timeout": timeout.as_dict(), **_watched()}

    async def post(
        self, path: str, content: bytes, request_id: UUID | None = None
    ) -> Answered | NotExecuted | Unknown:
        """``request_id`` makes a repeat harmless for an hour (X-Request-ID)."""
        headers = {"Content-Type": "application/json"}
        if request_id is not None:
            headers["X-Request-ID"] = str(request_id)
        outcome: Answered | NotExecuted | Unknown = NotExecuted("no turn came in time")
        # What is left of the request's time, with a moment to write the verdict.
        seconds = wait_budget.left(timeouts.PROVIDER_CALL, keep_seconds=timeouts.SETTLING)
        if seconds < timeouts.PROVIDER_LEAST:
            CALLS.labels(path, "notexecuted").inc()
            log.warning("provider-not-called", path=path, seconds=round(seconds, 3))
            return NotExecuted("too little time was left to hear the answer")
        with contextlib.suppress(TimeoutError):
            # Turns, repeats and pauses share one time-out: the caller waits no longer than for one call.
            async with asyncio.timeout(seconds):
                for attempt in range(TRIES):
                    async with self._turns:
                        outcome = Unknown("time-out")
                        outcome = await self._send("POST", path, content, headers)
                    if not isinstance(outcome, NotExecuted):
                        break
                    if attempt + 1 < TRIES:
                        await asyncio.sleep(_PAUSE_SECONDS * 2**attempt * (0.5 + random.random()))  # noqa: S311
        CALLS.labels(path, type(outcome).__name__.lower()).inc()
        if not isinstance(outcome, Answered):
            log.warning("provider-did-not-answer", path=path, outcome=type(outcome).__name__, why=outcome.why)
        return outcome

    async def get(self, path: str) -> Answered | NotExecuted | Unknown:
        """Public data, for a page that waits: a short time-out and one try."""
        try:
            async with asyncio.timeout(timeouts.CARD_KEY_CALL):
                return await self._send("GET", path, b"", {})
        except TimeoutError:
            return Unknown("time-out")

    async def _send(
        self, method: str, path: str, content: bytes, headers: dict[str, str]
    ) -> Answered | NotExecuted | Unknown:
        request = httpx.Request(
            method,
            self._base_url + path,
            headers=self._headers | headers,
            content=content,
            extensions=self._extensions,
        )
        try:
            response = await self._http.handle_async_request(request)
            try:
                answer = await _read(response)
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return NotExecuted(type(error).__name__)  # no byte of the request had left us
        except httpx.HTTPError as error:
            return Unknown(type(error).__name__)
        if response.status_code in (401, 403, 429):
            return NotExecuted(f"status {response.status_code}")
        if response.status_code != 200:
            return Unknown(f"status {response.status_code}")
        if answer is None:
            return Unknown("the answer is too large")
        try:
            body = json.loads(answer, parse_float=Decimal)
        except (ValueError, RecursionError):
            return Unknown("the answer is not JSON")
        return Answered(body) if isinstance(body, dict) else Unknown("the answer is not an object")

    async def aclose(self) -> None:
        await self._http.aclose()
