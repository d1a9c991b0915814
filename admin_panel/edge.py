"""The outermost middleware: one correlation id, access line and metric a request, and safe headers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from shared import correlation, logs, metrics, tracing

QUIET_PATHS: Final = {"/healthz", "/readyz", "/metrics"}
STATIC_PREFIX: Final = "/admin/static/"
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
            response = self._get_response(request)
            tracing.routed(span, method, route_of(request), response.status_code)
            response[correlation.HEADER] = correlation_id
            if not request.path.startswith(STATIC_PREFIX):
                response.setdefault("Cache-Control", "no-store")
            _record(request, response.status_code, time.perf_counter() - started)
        return response


def route_of(request: HttpRequest) -> str:
    """The path template of the matched route, or ``unmatched``; never ids or search words."""
    match = request.resolver_match
    return "/" + _CONVERTER.sub(r"{\1}", match.route) if match is not None else "unmatched"


def _record(request: HttpRequest, status: int, seconds: float) -> None:
    if request.path in QUIET_PATHS or request.path.startswith(STATIC_PREFIX):
        return
    route, method = route_of(request), request.method or "?"
    metrics.HTTP_REQUESTS.labels(method, route, str(status)).inc()
    metrics.HTTP_SECONDS.labels(method, route).observe(seconds)
    user = getattr(request, "user", None)
    staff_id = user.pk if user is not None and user.is_authenticated else None
    log.info(
        "request", method=method, route=route, status=status, seconds=round(seconds, 4), staff_id=staff_id
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The page of a form that was not ours or has grown old."""
    return render(request, "admin_panel/problem.html", {"code": 403, "stale": True}, status=403)
