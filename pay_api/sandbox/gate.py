"""The road of one call: credentials, calls in flight, faults, X-Request-ID, the method, the answer."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import Counter, Gauge
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from pay_api.sandbox import faults
from pay_api.sandbox.envelope import Answer, refused
from pay_api.sandbox.faults import Fault, FaultKind, Manner
from pay_api.sandbox.notifications import Outgoing
from pay_api.sandbox.parameters import MalformedBody, Parameters, Refused
from pay_api.sandbox.recurrence import charge_due
from pay_api.sandbox.registry import method_of, open_by
from pay_api.sandbox.terminal import Call, Method, Terminal
from pay_api.sandbox.under_way import settle_due
from shared import logs

CONNECTION: Final = "sandbox.connection"  # where the application keeps the server's own ``send``
_MAX_REQUEST_ID: Final = 512
_BEFORE: Final = {FaultKind.TIMEOUT_BEFORE, FaultKind.HTTP_500_BEFORE, FaultKind.TOO_MANY_REQUESTS}

CALLS: Final = Counter("sandbox_calls_total", "Calls of the provider's methods", ["method", "outcome"])
IN_FLIGHT: Final = Gauge("sandbox_calls_in_flight", "Calls being handled")
log = logs.logger(__name__)


def is_authorised(header: str | None, public_id: str, secret: str) -> bool:
    """Whether an Authorization header holds the terminal's Basic credentials."""
    scheme, _, encoded = (header or "").partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(given, f"{public_id}:{secret}".encode())


def unauthorised() -> Response:
    return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="cloudpayments-sandbox"'})


class HungUp(Exception):
    """The connection was closed without an answer."""


async def hang_up(scope: Scope) -> None:
    """Closes the connection without a byte of an answer; raises HungUp where there is no connection."""
    cycle = getattr(scope.get(CONNECTION), "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is None:
        raise HungUp
    transport.abort()
    await asyncio.sleep(0.05)  # lets the server see that its peer is gone


async def _hang(receive: Receive, seconds: float) -> None:
    """Keeps silent until the time is over or the caller gives up."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await gone()


@dataclass(slots=True)
class _Turn:
    """A call once it is let in."""

    name: str
    method: Method
    request_id: str | None
    fault: Fault | None
    outgoing: Outgoing = field(default_factory=Outgoing)


class Gate:
    """Answers every path of the provider's API; an ASGI application."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._in_flight = 0
        # Callers that repeat an id wait for the first: an entry lives as long as somebody holds or awaits it.
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiters: dict[str, int] = defaultdict(int)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        settings = self._terminal.settings
        found = method_of(request.url.path)
        header, terminal_id = request.headers.get("authorization"), settings.sandbox_public_id
        knows_secret = is_authorised(header, terminal_id, settings.api_secret)
        if not knows_secret and (header is not None or found is None or open_by(found[0]) is None):
            await unauthorised()(scope, receive, send)
            return
        if found is None or (request.method != "POST" and found[0] != "test"):
            status = 404 if found is None else 405
            await JSONResponse(refused("Method not found"), status)(scope, receive, send)
            return
        if self._in_flight >= settings.sandbox_concurrent_calls:
            CALLS.labels(found[0], "too-many").inc()
            await JSONResponse(refused("Too many requests"), 429)(scope, receive, send)
            return
        self._in_flight += 1
        IN_FLIGHT.set(self._in_flight)
        try:
            await self._let_in(request, found, knows_secret, receive, send)
        finally:
            self._in_flight -= 1
            IN_FLIGHT.set(self._in_flight)

    async def _let_in(
        self,
        request: Request,
        found: tuple[str, Method],
        knows_secret: bool,
        receive: Receive,
        send: Send,
    ) -> None:
        name, method = found
        body = await request.body()  # before any fault: the caller has sent everything
        try:
            own = faults.of_header(request.headers.get(faults.HEADER))
            parameters = Parameters.of_body(body, request.headers.get("content-type", ""))
        except (MalformedBody, ValueError) as error:
            log.info("malformed-call", method=name, reason=str(error))
            await JSONResponse(refused("Invalid request"), 400)(request.scope, receive, send)
            return
        if not knows_secret and not self._names_terminal(name, request, parameters):
            await unauthorised()(request.scope, receive, send)
            return
        of_call = [fault for fault in own if not fault.is_of_notifications]
        turn = _Turn(
            name=name,
            method=method,
            request_id=(request.headers.get("x-request-id") or "")[:_MAX_REQUEST_ID] or None,
            fault=of_call[0] if of_call else self._terminal.faults.of_call(name),
            outgoing=Outgoing([fault for fault in own if fault.is_of_notifications]),
        )
        try:
            response = await self._respond(turn, parameters, request.scope, receive)
            if response is not None:
                await response(request.scope, receive, send)
        finally:
            self._terminal.notifier.release(turn.outgoing)

    def _names_terminal(self, name: str, request: Request, parameters: Parameters) -> bool:
        """Whether a caller without the secret names the terminal where this method wants it."""
        opened = open_by(name)
        if opened is None:
            return False
        query = {key.lower(): value for key, value in request.query_params.items()}
        given = query.get(opened.name.lower()) if opened.in_query else parameters.value(opened.name)
        return given == self._terminal.settings.sandbox_public_id

    async def _respond(
        self, turn: _Turn, parameters: Parameters, scope: Scope, receive: Receive
    ) -> Response | None:
        """The answer to send; None when a fault closed the connection instead."""
        fault = turn.fault
        if fault is not None and fault.kind is FaultKind.DELAY:
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind in _BEFORE:
            CALLS.labels(turn.name, "fault").inc()
            return await self._broken(fault, scope, receive)
        answer = await self._answer_once(turn, parameters)
        CALLS.labels(turn.name, "success" if answer["Success"] else "failure").inc()
        log.info(
            "call-answered",
            method=turn.name,
            success=answer["Success"],
            message=answer["Message"] if turn.name != "test" else None,
            request_id=turn.request_id,
        )
        await self._terminal.notifier.release_early(turn.outgoing)
        if fault is None:
            return JSONResponse(answer)
        if fault.kind in (FaultKind.TIMEOUT_AFTER, FaultKind.HTTP_500_AFTER):
            self._terminal.notifier.release(turn.outgoing)  # the effect stands: its notification goes
            return await self._broken(fault, scope, receive)
        return _distorted(answer, fault.kind)

    async def _broken(self, fault: Fault, scope: Scope, receive: Receive) -> Response | None:
        if fault.kind in (FaultKind.HTTP_500_BEFORE, FaultKind.HTTP_500_AFTER):
            return HTMLResponse("<h1>500 Internal Server Error</h1>", 500)
        if fault.kind is FaultKind.TOO_MANY_REQUESTS:
            return JSONResponse(refused("Too many requests"), 429)
        if fault.manner is Manner.HANG:
            await _hang(receive, fault.seconds)
        await hang_up(scope)
        return None

    async def _answer_once(self, turn: _Turn, parameters: Parameters) -> Answer:
        """Runs the method, or repeats the stored answer; a repeat that comes meanwhile waits."""
        key = turn.request_id
        if key is None:
            return await self._run(turn, parameters)
        self._waiters[key] += 1
        try:
            async with self._locks[key]:
                stored = self._terminal.store.answer(key, self._terminal.clock.now())
                if stored is not None:
                    return stored
                answer = await self._run(turn, parameters)
                if answer["Success"]:  # a failed first try may be made again under the same id
                    self._terminal.store.store_answer(key, answer, self._terminal.clock.now())
                return answer
        finally:
            self._waiters[key] -= 1
            if self._waiters[key] == 0:
                del self._waiters[key], self._locks[key]

    async def _run(self, turn: _Turn, parameters: Parameters) -> Answer:
        self._terminal.lapse_holds()
        charge_due(self._terminal)
        settle_due(self._terminal)
        call = Call(self._terminal, turn.name, parameters, turn.request_id, turn.outgoing)
        if turn.fault is not None and turn.fault.kind is FaultKind.DECLINE:
            call.forced_reason_code = turn.fault.reason_code
        try:
            return await turn.method(call)
        except Refused as refusal:
            return refused(refusal.message)


def _distorted(answer: Answer, kind: FaultKind) -> Response:
    if kind is FaultKind.TRUNCATED_JSON:
        whole = json.dumps(answer, ensure_ascii=False).encode()
        return Response(whole[: len(whole) // 2], media_type="application/json")
    model: Any = answer.get("Model")
    if kind is FaultKind.UNKNOWN_STATUS and isinstance(model, dict):
        strange = {**model, "Status": "PendingReview", "StatusCode": 42}
        return JSONResponse({**answer, "Model": strange})
    return JSONResponse(answer)
