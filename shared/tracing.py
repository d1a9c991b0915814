"""OpenTelemetry traces over HTTP, SQL and events, exported when OTEL_EXPORTER_OTLP_ENDPOINT is set.

Without an endpoint neither the SDK nor the exporter is imported and every function here does next to nothing.
Addresses' queries, SQL parameters and texts of exceptions never enter a span: they may hold secrets.
"""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from shared import correlation

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
QUIET_PATHS: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_TRACEPARENT: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_tracer: Final = trace.get_tracer("cinema-billing")
_provider: TracerProvider | None = None


def _quiet(scope: Mapping[str, Any]) -> bool:
    return scope.get("path") in QUIET_PATHS


def fastapi_telemetry() -> TelemetryConfig:
    """For ``FastAPI(telemetry=...)``: its own server spans, without metrics and logs (we have our own)."""
    return {"metrics": False, "logs": False, "operation_spans": False, "exclude": _quiet}


def start(service: str) -> bool:
    """Begins to export this process's traces under the service's name; False without an endpoint.

    Call it after any fork: the exporter is a thread.
    """
    global _provider
    if not os.environ.get(ENDPOINT) or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if _provider is None:
        from shared.tracing_spans import WithoutQueries

        _provider = TracerProvider(resource=Resource.create({"service.name": service}))
        _provider.add_span_processor(WithoutQueries())
        _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(_provider)
        atexit.register(_provider.shutdown)
    return True


def flush(timeout_seconds: float = 5) -> None:
    """Sends what has ended so far."""
    if _provider is not None:
        _provider.force_flush(int(timeout_seconds * 1000))


def trace_id() -> str | None:
    """The id of the trace at hand as 32 hex digits, for log lines."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def traceparent() -> str | None:
    """W3C traceparent of the span at hand; None outside a trace."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def _span(name: str, kind: SpanKind, attributes: Mapping[str, Any], parent: Any = None) -> Iterator[Span]:
    with _tracer.start_as_current_span(
        name,
        context=parent,
        kind=kind,
        attributes={**attributes, "cinema.correlation_id": correlation.current()},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except Exception as error:
            failed(span, type(error).__qualname__)
            raise


def failed(span: Span, kind: str) -> None:
    """Marks a span as failed by the class of what went wrong, never by its text."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


@contextmanager
def serving(method: str, path: str, headers: Mapping[str, str]) -> Iterator[Span]:
    """A request answered by a WSGI service; its route is set when it is known (see ``routed``)."""
    if path in QUIET_PATHS:
        yield trace.INVALID_SPAN
        return
    parent = propagate.extract({name.lower(): value for name, value in headers.items()})
    with _span(method, SpanKind.SERVER, {"http.request.method": method}, parent) as span:
        yield span


def routed(span: Span, method: str, route: str, status: int) -> None:
    """Names a server span by its route and gives it its status."""
    span.update_name(f"{method} {route}")
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        failed(span, str(status))


@contextmanager
def calling(service: str, method: str, headers: dict[str, str]) -> Iterator[Span]:
    """A call of another service; adds ``traceparent`` to its headers."""
    attributes = {"http.request.method": method, "peer.service": service}
    with _span(f"{method} {service}", SpanKind.CLIENT, attributes) as span:
        propagate.inject(headers)
        yield span


def answered(span: Span, status: int) -> None:
    """The status of the answer to ``calling``."""
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        failed(span, str(status))


@contextmanager
def creating(event_type: str) -> Iterator[None]:
    """An event is put into the outbox; its envelope then carries this span as ``traceparent``."""
    if not trace.get_current_span().get_span_context().is_valid:
        yield  # work outside any trace begins none
        return
    attributes = {"messaging.system": "rabbitmq", "messaging.operation.name": "create"}
    with _span(f"create {event_type}", SpanKind.PRODUCER, attributes):
        yield


@contextmanager
def consuming(queue: str, event_type: str, event_id: str, parent: str | None) -> Iterator[None]:
    """An event is handled; continues the trace it was created in."""
    attributes = {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": queue,
        "messaging.operation.name": "process",
        "messaging.message.id": event_id,
    }
    known = {"traceparent": parent} if parent and _TRACEPARENT.fullmatch(parent) else {}
    with _span(f"process {event_type}", SpanKind.CONSUMER, attributes, propagate.extract(known)):
        yield


@contextmanager
def doing(name: str) -> Iterator[None]:
    """A piece of work that begins a trace of its own: a scheduled task, a sweep."""
    with _span(name, SpanKind.INTERNAL, {}):
        yield


def watch_engine(engine: Any) -> None:
    """A span per statement of a SQLAlchemy engine, when traces are exported."""
    if _provider is not None:
        from shared import tracing_spans

        tracing_spans.watch_engine(getattr(engine, "sync_engine", engine))


async def watch_connection(connection: Any) -> None:
    """A span per statement of an asyncpg connection, when traces are exported."""
    if _provider is not None:
        from shared import tracing_spans

        tracing_spans.watch_connection(connection)


def watch_django() -> None:
    """A span per statement of every Django connection opened from now on, when traces are exported."""
    if _provider is not None:
        from django.db.backends.signals import connection_created

        def watch(connection: Any, **_: Any) -> None:
            connection.execute_wrappers.append(around_query)

        connection_created.connect(watch, weak=False, dispatch_uid="shared.tracing")


def around_query(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    """For Django's ``connection.execute_wrappers``: a span per statement inside a trace; polls begin none."""
    if not trace.get_current_span().is_recording():
        return execute(sql, params, many, context)
    from shared.tracing_spans import verb_of

    text = str(sql)
    attributes = {"db.system.name": "postgresql", "db.query.text": text[:2000]}
    with _span(verb_of(text), SpanKind.CLIENT, attributes):
        return execute(sql, params, many, context)
