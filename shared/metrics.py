"""Prometheus metrics every service has; a service's own stand beside the code they measure."""

from __future__ import annotations

from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest

HTTP_REQUESTS: Final = Counter("http_requests_total", "Requests answered", ["method", "route", "status"])
HTTP_SECONDS: Final = Histogram(
    "http_request_duration_seconds",
    "Time to answer",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
OUTBOX_PENDING: Final = Gauge("outbox_pending", "Events written and not yet confirmed by the broker")
OUTBOX_AGE_SECONDS: Final = Gauge("outbox_oldest_age_seconds", "Age of the oldest unpublished event")
CARD_NUMBERS_REFUSED: Final = Counter("card_numbers_refused_total", "Requests turned away for a card number")
EVENTS_PUBLISHED: Final = Counter("events_published_total", "Events confirmed by the broker", ["type"])
EVENTS_CONSUMED: Final = Counter("events_consumed_total", "Events handled", ["queue", "type", "outcome"])


def exposition() -> tuple[bytes, str]:
    """The body and content type of ``/metrics``."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
