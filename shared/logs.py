"""Structured JSON logs with the correlation id, and nothing secret in them."""

from __future__ import annotations

import logging
import logging.config
import re
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

from shared import correlation, tracing

_SECRET_NAMES: Final = re.compile(
    r"password|secret|token|cryptogram|authorization|cookie|e_?mail|phone|card_number|pan$|cvv|full_name|pares",
    re.IGNORECASE,
)
_SECRET_VALUES: Final = re.compile(
    r"(?i:bearer\s+)[\w.\-]+"  # credentials
    r"|(?<=token=)[^&\s\"']+"  # signed links
    r"|eyJ[\w-]{8,}\.[\w-]+\.[\w-]+"  # JWT
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # e-mail
    r"|\b\d(?:[ -]?\d){12,18}\b"  # card numbers
)
REDACTED: Final = "[redacted]"


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blanks values under secret names and secret-looking pieces of any text."""
    for name, value in event.items():
        if name in {"event", "logger", "level", "timestamp", "correlation_id"} and not isinstance(value, str):
            continue
        if _SECRET_NAMES.search(name):
            event[name] = REDACTED
        elif isinstance(value, str):
            event[name] = _SECRET_VALUES.sub(REDACTED, value)
        elif isinstance(value, (dict, list, tuple)):
            event[name] = _SECRET_VALUES.sub(REDACTED, repr(value))
    return event


def _add_correlation(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.setdefault("correlation_id", correlation.current())
    if (trace_id := tracing.trace_id()) is not None:
        event.setdefault("trace_id", trace_id)
    return event


class _Lines(logging.StreamHandler[TextIO]):
    """Says nothing where nobody hears any more: a test's captured output ends before its servers' threads."""

    def emit(self, record: logging.LogRecord) -> None:
        if not self.stream.closed:
            super().emit(record)


def configure(service: str, level: str = "INFO") -> None:
    """Sends structlog and the standard library's loggers to stdout as one JSON object a line."""
    first: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_correlation,
        lambda _, __, event: {"service": service, **event},
    ]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": first,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        structlog.processors.format_exc_info,
                        redact,
                        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
                    ],
                }
            },
            "handlers": {
                "stdout": {
                    "()": _Lines,
                    "formatter": "json",
                    "stream": "ext://sys.stdout",
                }
            },
            "root": {"handlers": ["stdout"], "level": level},
            "loggers": {
                # Access lines are written once, by our own middleware, without query strings.
                "uvicorn.access": {"level": "WARNING"},
                "uvicorn": {"handlers": [], "propagate": True},
                "uvicorn.error": {"handlers": [], "propagate": True},
                "httpx": {"level": "WARNING"},
                "httpcore": {"level": "WARNING"},
                "aio_pika": {"level": "WARNING"},
                "aiormq": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *first,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> Any:
    """A structured logger: ``log.info("payment-charged", payment_id=...)``."""
    return structlog.stdlib.get_logger(name)
