"""The outermost middleware: one correlation id, access line and metric a request, limits, safe headers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase

from billing_api.api import problems
from shared import correlation, logs, metrics, tracing

MAX_BODY_BYTES: Final = 64 * 1024
MAX_JSON_DEPTH: Final = 32
_LENGTH_DIGITS: Final = 18  # int() itself refuses thousands of digits
QUIET_PATHS: Final = {"/healthz", "/readyz", "/metrics"}
_SAFE_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}
_CONVERTER: Final = re.compile(r"<(?:\w+:)?(\w+)>")

log = logs.logger(__name__)


class Edge:
    """What shared.asgi.Edge is to the ASGI services."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        correlation_id = correlation.accept(request.headers.get(correlation.HEADER))
        started = time.perf_counter()
        method = request.method or "?"
        with (
            correlation.correlated(correlation_id),
            tracing.serving(method, request.path, request.headers) as span,
        ):
            response = _refusal(request) or self._get_response(request)
            tracing.routed(span, method, route_of(request), response.status_code)
            response[correlation.HEADER] = correlation_id
            for name, value in _SAFE_HEADERS.items():
                response.setdefault(name, value)
            _record(request, response.status_code, time.perf_counter() - started)
        return response


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """The problem for a body we will not read, before any parser sees it."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isascii() or not length.isdigit():
        return problems.of_status(400)
    if len(length) > _LENGTH_DIGITS or int(length) > MAX_BODY_BYTES:
        return problems.of_status(413)
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        return problems.of_status(400, "Send the body with a Content-Length.")
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    try:
        body = request.body
    except UnreadablePostError:  # the caller went away in the middle of it
        return problems.of_status(400)
    if "json" in (request.content_type or "") and depth(body) > MAX_JSON_DEPTH:
        return problems.of_status(400, "The JSON is nested too deep.")
    return None


def depth(body: bytes) -> int:
    """The deepest nesting of brackets outside strings, before any parser sees the text."""
    deepest = current = 0
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
            current += 1
            deepest = max(deepest, current)
        elif byte in (0x5D, 0x7D):
            current -= 1
    return deepest


def route_of(request: HttpRequest) -> str:
    """The path template of the matched route (``/internal/v1/invoices/{invoice_id}``), or ``unmatched``."""
    match = request.resolver_match
    return "/" + _CONVERTER.sub(r"{\1}", match.route) if match is not None else "unmatched"


def _record(request: HttpRequest, status: int, seconds: float) -> None:
    route, method = route_of(request), request.method or "?"
    metrics.HTTP_REQUESTS.labels(method, route, str(status)).inc()
    metrics.HTTP_SECONDS.labels(method, route).observe(seconds)
    if request.path not in QUIET_PATHS:
        log.info("request", method=method, route=route, status=status, seconds=round(seconds, 4))
