"""What both fake services share: idempotency, faults to order, events, the log of calls."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from shared.clock import ManualClock
from shared.queue.messages.base import Envelope, EventState
from shared.queue.outbox import build_envelope


class Refusal(Exception):
    def __init__(self, status: int, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.status, self.code, self.extra = status, code, extra


class Crash(Exception):
    """The process dies: the caller never learns what was done."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FakeService:
    """A service in memory; ``routes`` of the heir says what it answers."""

    source = ""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.calls: list[tuple[str, Any]] = []
        self.bodies: list[bytes] = []
        self.faults: dict[tuple[str, str], int] = {}
        self.hold: dict[str, asyncio.Event] = {}
        self.reached = asyncio.Event()  # a held call has come
        self.events: list[Envelope] = []
        self._claims: dict[tuple[str, str], str] = {}
        self._answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self._sequences: dict[UUID, int] = {}
        self.app = FastAPI()
        self.app.add_exception_handler(Refusal, self._on_refusal)
        self.app.add_exception_handler(RequestValidationError, self._on_invalid)
        self.routes()

    def routes(self) -> None:
        raise AssertionError

    async def _on_refusal(self, _: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refusal)
        body = {"type": f"/problems/{error.code}", "status": error.status, "detail": "no", **error.extra}
        return JSONResponse(body, error.status, media_type="application/problem+json")

    async def _on_invalid(self, _: Request, error: Exception) -> JSONResponse:
        raise AssertionError(f"a body the contract does not know: {error}")

    def crash(self, operation: str, when: Literal["before", "after"], times: int = 1) -> None:
        self.faults[operation, when] = times

    def _fault(self, operation: str, when: str) -> None:
        if self.faults.get((operation, when), 0) > 0:
            self.faults[operation, when] -= 1
            raise Crash(f"{operation} {when}")

    def count(self, operation: str) -> int:
        return sum(1 for name, _ in self.calls if name == operation)

    async def once(
        self, operation: str, key: str | None, body: Any, work: Callable[[], tuple[int, Any]]
    ) -> JSONResponse:
        assert key, f"{operation} needs an Idempotency-Key"
        self.calls.append((operation, body))
        fingerprint = hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
        # A key remembers its first request even when nothing came of that.
        if self._claims.setdefault((operation, key), fingerprint) != fingerprint:
            raise Refusal(422, "idempotency-key-reused")
        known = self._answers.get((operation, key))
        if known is not None:
            return JSONResponse(known[1], known[0])
        self._fault(operation, "before")
        if operation in self.hold:
            self.reached.set()
            await self.hold[operation].wait()
        status, answer = work()
        self._answers[operation, key] = (status, answer)
        self._fault(operation, "after")
        return JSONResponse(answer, status)

    def emit(self, event_type: str, aggregate_id: UUID, state: EventState) -> Envelope:
        sequence = self._sequences[aggregate_id] = self._sequences.get(aggregate_id, 0) + 1
        now = self.clock.now()
        envelope = build_envelope(self.source, event_type, aggregate_id, sequence, state, now)
        self.events.append(envelope)
        return envelope
