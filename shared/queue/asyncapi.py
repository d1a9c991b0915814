"""Generates the AsyncAPI 3 document of the data bus from the topology and the message types."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.queue import topology
from shared.queue.broker import CONTENT_TYPE
from shared.queue.messages import catalog, invoices, payments, users
from shared.queue.messages.base import Envelope, event_types, schema_uri

VERSION = "1.0.0"
MODULES = (payments, invoices, catalog, users)  # importing them registers their event types


def _schemas() -> tuple[dict[str, str], dict[str, Any]]:
    """Reference of each state class, and all schemas."""
    classes: list[type[BaseModel]] = [
        *sorted({*event_types().values()}, key=lambda cls: cls.__name__),
        Envelope,
    ]
    references, document = models_json_schema(
        [(cls, "serialization") for cls in classes],
        ref_template="#/components/schemas/{model}",
    )
    named = {model.__name__: schema["$ref"] for (model, _), schema in references.items()}
    return named, document["$defs"]


def _message_name(event_type: str) -> str:
    return "".join(part.capitalize() for part in event_type.replace("_", ".").split("."))


def _messages(references: dict[str, str]) -> dict[str, Any]:
    return {
        _message_name(event_type): {
            "name": event_type,
            "title": event_type.replace(".", " ").replace("_", " ").capitalize(),
            "summary": (cls.__doc__ or "").strip().splitlines()[0],
            "contentType": CONTENT_TYPE,
            "payload": {
                "allOf": [
                    {"$ref": references["Envelope"]},
                    {
                        "type": "object",
                        "properties": {
                            "type": {"const": event_type},
                            "dataschema": {"const": schema_uri(event_type)},
                            "data": {"$ref": references[cls.__name__]},
                        },
                    },
                ]
            },
        }
        for event_type, cls in sorted(event_types().items())
    }


def _messages_of(exchange: str) -> dict[str, Any]:
    return {
        _message_name(event_type): {"$ref": f"#/components/messages/{_message_name(event_type)}"}
        for event_type, cls in sorted(event_types().items())
        if exchange == cls.EXCHANGE
    }


def _channels() -> dict[str, Any]:
    channels: dict[str, Any] = {}
    for exchange in topology.EXCHANGES:
        channels[f"exchange-{exchange.name}"] = {
            "address": exchange.name,
            "description": f"Durable topic exchange of {exchange.owner}; the routing key is the event type.",
            "messages": _messages_of(exchange.name),
            "bindings": {
                "amqp": {
                    "is": "routingKey",
                    "exchange": {
                        "name": exchange.name,
                        "type": "topic",
                        "durable": True,
                        "autoDelete": False,
                    },
                }
            },
        }
    for stream in topology.STREAMS:
        channels[f"stream-{stream.name}"] = {
            "address": stream.name,
            "description": "RabbitMQ stream: attach at any time, from any offset kept, with a prefetch.",
            "messages": _messages_of(stream.exchange),
            "bindings": {
                "amqp": {
                    "is": "queue",
                    "queue": {"name": stream.name, "durable": True, "exclusive": False, "autoDelete": False},
                }
            },
        }
    return channels


def _operations() -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for exchange in topology.EXCHANGES:
        operations[f"{exchange.owner}-publishes-{exchange.name}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/exchange-{exchange.name}"},
            "summary": f"{exchange.owner} tells what happened, with the whole state of the aggregate.",
        }
    for stream in topology.STREAMS:
        operations[f"read-{stream.name}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/stream-{stream.name}"},
            "summary": "Other systems read from here with the account data-bus-reader.",
        }
    return operations


def document() -> dict[str, Any]:
    """The AsyncAPI 3.0 document as a JSON object."""
    references, schemas = _schemas()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Cinema billing data bus",
            "version": VERSION,
            "description": (
                "Events of the suite as CloudEvents 1.0 in structured JSON. Every event carries the full "
                "state of its aggregate and a gap-free aggregatesequence: apply the newest, ignore older."
            ),
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(references), "schemas": schemas},
    }


def main() -> None:
    """Writes the document to the path given, ``docs/asyncapi.json`` by default."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/asyncapi.json")
    path.write_text(json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
