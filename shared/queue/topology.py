"""Every exchange, queue, stream and dead-letter queue of the suite: owner and consumers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

DEAD_LETTER_EXCHANGE: Final = "dead-letters"
DELIVERY_LIMIT: Final = 20  # returns by the broker itself (a consumer that dies); handler failures we count
# RabbitMQ 4 drops what was taken 20 times and not acknowledged, unless told otherwise: looking would lose it
PARKING_DELIVERY_LIMIT: Final = 1_000_000_000
STREAM_MAX_AGE: Final = "30D"
STREAM_MAX_BYTES: Final = 2_000_000_000
STREAM_SEGMENT_BYTES: Final = 50_000_000
PARKING_MAX_MESSAGES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable topic exchange; the routing key is the event type. ``owner`` alone publishes to it."""

    name: str
    owner: str


@dataclass(frozen=True, slots=True)
class ServiceQueue:
    """A quorum queue of one consuming service, bound to one exchange."""

    name: str
    exchange: str
    consumer: str
    binding_keys: tuple[str, ...] = ("#",)

    @property
    def dead_letter_queue(self) -> str:
        return f"{self.name}.dead"

    def arguments(self) -> dict[str, Any]:
        return {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD_LETTER_EXCHANGE,
            "x-dead-letter-routing-key": self.name,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }

    def dead_letter_arguments(self) -> dict[str, Any]:
        return {
            "x-queue-type": "quorum",
            "x-delivery-limit": PARKING_DELIVERY_LIMIT,
            "x-max-length": PARKING_MAX_MESSAGES,
            "x-overflow": "reject-publish",
        }


@dataclass(frozen=True, slots=True)
class Stream:
    """An append-only log for other systems, kept for a time and replayable."""

    name: str
    exchange: str

    def arguments(self) -> dict[str, Any]:
        return {
            "x-queue-type": "stream",
            "x-max-age": STREAM_MAX_AGE,
            "x-max-length-bytes": STREAM_MAX_BYTES,
            "x-stream-max-segment-size-bytes": STREAM_SEGMENT_BYTES,
        }


EXCHANGES: Final = (
    Exchange("payments", "pay-api"),  # Queue 1 of the diagram
    Exchange("invoices", "billing-api"),  # Queue 2 of the diagram
    Exchange("catalog", "admin-panel"),
    Exchange("users", "user-api"),
)

QUEUES: Final = (
    ServiceQueue("billing.payments", "payments", "billing-api"),
    ServiceQueue("billing.catalog", "catalog", "billing-api"),
    ServiceQueue("billing.users", "users", "billing-api", ("user.*",)),
    ServiceQueue("users.payments", "payments", "user-api"),
    ServiceQueue("users.invoices", "invoices", "user-api"),
    ServiceQueue("users.catalog", "catalog", "user-api"),
)

STREAMS: Final = (
    Stream("data-bus.payments", "payments"),
    Stream("data-bus.invoices", "invoices"),
)


def queue(name: str) -> ServiceQueue:
    """The queue of a name; raises KeyError."""
    for candidate in QUEUES:
        if candidate.name == name:
            return candidate
    raise KeyError(name)


def bound_to(exchange: str) -> list[str]:
    """Names of everything that must be bound to an exchange before anything is published to it."""
    return [q.name for q in QUEUES if q.exchange == exchange] + [
        s.name for s in STREAMS if s.exchange == exchange
    ]


def is_awaited(exchange: str, event_type: str) -> bool:
    """Whether something of ours is bound for this type; ``access.*`` is told to whoever may attach."""
    if any(stream.exchange == exchange for stream in STREAMS):
        return True
    return any(
        key in ("#", event_type) or (key.endswith(".*") and event_type.startswith(key[:-1]))
        for q in QUEUES
        if q.exchange == exchange
        for key in q.binding_keys
    )
