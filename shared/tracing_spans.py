"""Parts of tracing that need the OpenTelemetry SDK or SQLAlchemy; imported only when traces are exported."""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

_SPANS = "cinema_spans"


class WithoutQueries(SpanProcessor):
    """Blanks the query of an address before anything is exported: signed links carry their token there."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if span.attributes and "url.query" in span.attributes:
            span.set_attribute("url.query", "[redacted]")

    def on_end(self, span: ReadableSpan) -> None:
        return


def watch_engine(engine: Any) -> None:
    """A span per statement of a SQLAlchemy engine (of an asynchronous one: ``sync_engine``), within traces.

    The contrib instrumentation refuses SQLAlchemy 2.1, and the asyncpg one does not see prepared statements.
    """
    from sqlalchemy import event

    tracer = trace.get_tracer("cinema-billing")

    def before(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if trace.get_current_span().is_recording():
            attributes = {"db.system.name": "postgresql", "db.query.text": statement[:2000]}
            span = tracer.start_span(verb_of(statement), kind=SpanKind.CLIENT, attributes=attributes)
            connection.info.setdefault(_SPANS, []).append(span)

    def end(connection: Any, failure: BaseException | None) -> None:
        spans = connection.info.get(_SPANS, []) if connection is not None else []
        if spans:
            span = spans.pop()
            if failure is not None:
                span.set_attribute("error.type", type(failure).__qualname__)
                span.set_status(StatusCode.ERROR)
            span.end()

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", lambda connection, *_: end(connection, None))
    event.listen(engine, "handle_error", lambda failed: end(failed.connection, failed.original_exception))


def watch_connection(connection: Any) -> None:
    """A span per statement of an asyncpg connection, within traces, put down when the statement has ended."""
    tracer = trace.get_tracer("cinema-billing")

    def put_down(record: Any) -> None:
        if not trace.get_current_span().is_recording():
            return
        ended_at = time.time_ns()
        span = tracer.start_span(
            verb_of(record.query),
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": "postgresql", "db.query.text": record.query[:2000]},
            start_time=ended_at - int(record.elapsed * 1e9),
        )
        if record.exception is not None:
            span.set_attribute("error.type", type(record.exception).__qualname__)
            span.set_status(StatusCode.ERROR)
        span.end(ended_at)

    connection.add_query_logger(put_down)


def verb_of(sql: str) -> str:
    """The statement's first word, which names its span."""
    words = sql.split(None, 1)
    return words[0].upper() if words and words[0].isalpha() else "SQL"
