"""What every ASGI service does at its edge: correlation, limits, access log, metrics, problems, health."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import correlation, docs_pages, logs, metrics, problem
from shared.card_numbers import holds_card_number
from shared.database_errors import refusal_of
from shared.errors import AppError, Kind, invalid
from shared.health import Health

MAX_BODY_BYTES: Final = 64 * 1024
MAX_JSON_DEPTH: Final = 32
_LENGTH_DIGITS: Final = 18
_QUIET_PATHS: Final = {"/healthz", "/readyz", "/metrics"}
SAFE_HEADERS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
]

_NOTIFICATIONS: Final = "/v1/webhooks/"
_NO_CARD_NUMBERS: Final = "A card number is never sent here: the browser encrypts it for the provider."

# Refusals that operators watch (reliability 4.9): who is not known, not allowed, or too eager.
SECURITY_KINDS: Final = frozenset({Kind.UNAUTHENTICATED, Kind.FORBIDDEN, Kind.TOO_MANY})

log = logs.logger(__name__)


class Edge:
    """The outermost middleware: a correlation id, an access line, a metric and safe headers per request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        correlation_id = correlation.accept(headers.get(b"x-correlation-id", b"").decode("latin-1"))
        started = time.perf_counter()
        status, began = 500, False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, began
            if message["type"] == "http.response.start":
                status, began = message["status"], True
                present = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    (b"x-correlation-id", correlation_id.encode()),
                    *((name, value) for name, value in SAFE_HEADERS if name not in present),
                    *(() if b"cache-control" in present else ((b"cache-control", b"no-store"),)),
                ]
            await send(message)

        with correlation.correlated(correlation_id):
            try:
                await self._limited(scope, headers, receive, send_with_headers)
            except Exception as error:
                passing = refusal_of(error)
                if passing is not None and not began:
                    log.error(passing.code, error=type(error).__name__)
                    answer = await on_app_error(Request(scope), passing)
                    await answer(scope, receive, send_with_headers)
                    return
                log.error("unexpected-error", exc_info=error)
                if began:
                    raise  # the answer is half out: only cutting the connection is honest
                await _problem_response(500, "Something is wrong on our side.")(
                    scope, receive, send_with_headers
                )
            finally:
                self._record(scope, status, time.perf_counter() - started)

    async def _limited(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        length = headers.get(b"content-length", b"0")
        too_long = len(length) > _LENGTH_DIGITS  # int() itself refuses thousands of digits
        if not length.isdigit() or too_long or int(length) > MAX_BODY_BYTES:
            await _problem_response(413 if length.isdigit() else 400)(scope, receive, send)
            return
        body = bytearray()
        more = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > MAX_BODY_BYTES:
                await _problem_response(413)(scope, receive, send)
                return
            more = message.get("more_body", False)
        if body and b"json" in headers.get(b"content-type", b"") and _depth(bytes(body)) > MAX_JSON_DEPTH:
            await _problem_response(400, "The JSON is nested too deep.")(scope, receive, send)
            return
        if self._holds_card_number(scope, bytes(body)):
            metrics.CARD_NUMBERS_REFUSED.inc()
            log.error("card-number-refused", method=scope["method"])
            refusal = await on_app_error(Request(scope), invalid("card-number-refused", _NO_CARD_NUMBERS))
            await refusal(scope, receive, send)
            return
        given = False

        async def replay() -> Message:
            nonlocal given
            if not given and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
                given = True
                return {"type": "http.request", "body": bytes(body), "more_body": False}
            return await receive()

        await self._app(scope, replay, send)

    def _holds_card_number(self, scope: Scope, body: bytes) -> bool:
        """Notifications of a provider are signed and are about money: they are never turned away for this."""
        if scope["path"].startswith(_NOTIFICATIONS):
            return False
        return holds_card_number(body) or holds_card_number(scope.get("query_string", b""))

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        metrics.HTTP_REQUESTS.labels(scope["method"], route, str(status)).inc()
        metrics.HTTP_SECONDS.labels(scope["method"], route).observe(seconds)
        if scope["path"] not in _QUIET_PATHS:
            log.info("request", method=scope["method"], route=route, status=status, seconds=round(seconds, 4))


def _depth(body: bytes) -> int:
    """The deepest nesting of brackets outside strings; cheap, before any parser sees the text."""
    opened = body.count(b"[") + body.count(b"{")
    if opened <= MAX_JSON_DEPTH:
        return opened  # it cannot be deeper than that
    deepest = depth = 0
    in_string = escaped = False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in (0x5B, 0x7B):
            depth += 1
            deepest = max(deepest, depth)
        elif byte in (0x5D, 0x7D):
            depth -= 1
    return deepest


def _problem_response(
    status: int, detail: str = "", headers: dict[str, str] | None = None, **extra: Any
) -> Response:
    body = problem.of_status(status, correlation.current(), detail, **extra)
    return Response(
        json.dumps(body, ensure_ascii=False), status, headers=headers, media_type=problem.CONTENT_TYPE
    )


async def on_app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    status, body, headers = problem.of_error(error, correlation.current())
    if error.kind is Kind.BROKEN_INVARIANT:
        log.error("broken-invariant", code=error.code, detail=error.detail)
    elif error.kind in SECURITY_KINDS:
        route = getattr(request.scope.get("route"), "path", None) or "unmatched"
        log.warning("access-refused", code=error.code, method=request.method, route=route)
    headers.pop("Content-Type")
    return Response(
        json.dumps(jsonable_encoder(body), ensure_ascii=False),
        status,
        headers=headers,
        media_type=problem.CONTENT_TYPE,
    )


async def on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if any(item["type"] == "json_invalid" for item in errors):
        return _problem_response(400, "The body is not valid JSON.")
    # The offending values are not repeated: they may be secrets.
    fields = [
        {"field": ".".join(str(part) for part in item["loc"]), "message": item["msg"]} for item in errors
    ]
    return _problem_response(422, "Some fields are not as they should be.", errors=fields)


async def on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail if error.status_code < 500 and error.detail else ""
    headers = dict(error.headers) if error.headers else None
    return _problem_response(error.status_code, detail, headers)


def add_health(app: FastAPI, health: Health) -> None:
    """``/healthz``, ``/readyz`` and ``/metrics``, outside the documented API."""

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> JSONResponse:
        ready, body = await health.report()
        return JSONResponse(body, 200 if ready else 503)

    @app.get("/metrics", include_in_schema=False)
    async def show_metrics() -> Response:
        body, content_type = metrics.exposition()
        return Response(body, media_type=content_type)


def add_docs(app: FastAPI) -> None:
    """``/docs`` with assets of our own; build the app with ``docs_url=None, redoc_url=None``."""

    @app.get("/docs", include_in_schema=False)
    async def show_docs() -> Response:
        served = docs_pages.page(app.title)
        return Response(served.body, headers=dict(served.headers))

    @app.get("/docs/assets/{name}", include_in_schema=False)
    async def show_docs_asset(name: str, request: Request) -> Response:
        served = docs_pages.asset(name, request.headers.get("accept-encoding", ""))
        if served is None:
            raise HTTPException(404)
        return Response(served.body, headers=dict(served.headers))


# Relative to /openapi.json: what the reference page tries out goes through the gateway's prefix too.
SERVERS: Final[list[dict[str, Any]]] = [{"url": "."}]


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the problems an operation may answer."""
    return {
        status: {
            "description": problem.CODE_OF_STATUS.get(status, "problem").replace("-", " ").capitalize(),
            "content": {problem.CONTENT_TYPE: {"schema": problem.SCHEMA}},
        }
        for status in sorted({400, 413, 422, 500, 503, *statuses})
    }


def install(app: FastAPI, health: Health) -> None:
    """Gives an app the suite's edge. Call it once, after its routes are added."""
    app.add_exception_handler(AppError, on_app_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_exception)
    add_health(app, health)
    app.add_middleware(Edge)
