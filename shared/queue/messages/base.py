"""The CloudEvents 1.0 envelope and the registry of event types."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

MAJOR_VERSION: Final = 1
_TYPES: Final[dict[str, type[EventState]]] = {}


class EventState(BaseModel):
    """The state of an aggregate as events carry it. No contacts, no names of people, no card numbers.

    New optional fields may be added to a version; anything else is a new major version.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    AGGREGATE: ClassVar[str]
    EXCHANGE: ClassVar[str]
    TYPES: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for event_type in cls.__dict__.get("TYPES", ()):
            _TYPES[event_type] = cls


class Envelope(BaseModel):
    """A CloudEvent in structured JSON, with the suite's extension attributes.

    ``aggregatesequence`` counts 1, 2, 3, … per aggregate without gaps. ``time`` is the suite's clock, UTC.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str = Field(description="URI reference of the service, e.g. /pay-api")
    type: str
    subject: str = Field(description="<aggregate type>/<aggregate id>")
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str = Field(description="/schemas/<type>/v<major>")
    aggregatetype: str
    aggregateid: UUID
    aggregatesequence: int = Field(ge=1)
    correlationid: str
    causationid: str | None = None
    traceparent: str | None = Field(default=None, description="W3C trace context, when traces are recorded")
    data: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The structured JSON form; absent optional attributes are left out, as CloudEvents asks."""
        body = self.model_dump(mode="json")
        for optional in ("causationid", "traceparent"):
            if body[optional] is None:
                del body[optional]
        return body


class UnknownEvent(ValueError):
    """A type or major version this code does not know: to be parked, not dropped."""


def state_type(event_type: str) -> type[EventState]:
    """The class of an event type's data; raises UnknownEvent."""
    try:
        return _TYPES[event_type]
    except KeyError:
        raise UnknownEvent(f"unknown event type {event_type}") from None


def event_types() -> dict[str, type[EventState]]:
    """Every registered event type."""
    return dict(_TYPES)


def schema_uri(event_type: str) -> str:
    return f"/schemas/{event_type}/v{MAJOR_VERSION}"


def parse(body: bytes) -> Envelope:
    """An envelope from the wire. Raises ValueError (pydantic's included) or UnknownEvent."""
    envelope = Envelope.model_validate_json(body)
    state_type(envelope.type)
    if envelope.dataschema != schema_uri(envelope.type):
        raise UnknownEvent(f"unknown schema {envelope.dataschema}")
    return envelope


def state_of(envelope: Envelope) -> EventState:
    """The typed state an envelope carries; raises pydantic's ValidationError."""
    return state_type(envelope.type).model_validate(envelope.data)
