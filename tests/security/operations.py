"""The operations of a service as its OpenAPI lists them, each as a request that can be sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """``template`` is the path of the document; ``query`` what it requires there."""

    method: str
    template: str
    query: str
    schema: Mapping[str, Any] | None
    form: Mapping[str, str] | None = None  # fields a browser's form must have

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def is_internal(self) -> bool:
        return self.template.startswith("/internal/")

    @property
    def is_of_user(self) -> bool:
        return self.template.startswith("/v1/me") or self.template.startswith("/v1/auth/sessions")

    def request(self) -> dict[str, Any]:
        """The body as httpx takes it: empty, or what must be there to come as far as the caller's check."""
        if self.form is not None:
            return {"data": dict(self.form)}
        if self.method not in ("POST", "PUT", "PATCH"):
            return {}
        required = self.schema["required"] if self.schema and self.template.startswith("/checkout/") else ()
        return {"json": dict.fromkeys(required, "text")}

    def path(self, make_id: Callable[[str], Any] = lambda _: uuid4()) -> str:
        """The address with every part of it filled in."""

        def fill(found: re.Match[str]) -> str:
            special = {
                "resource": "feature:uhd",
                "shard": "0",
                "n": "0",
                "provider": "cloudpayments",
                "kind": "pay",
            }
            return special.get(found[1]) or str(make_id(found[1]))

        return re.sub(r"\{(\w+)\}", fill, self.template) + self.query


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Every operation of an OpenAPI document, in its order."""
    found = []
    for template, item in document["paths"].items():
        for method in METHODS:
            if (operation := item.get(method)) is None:
                continue
            wanted = [
                f"{one['name']}={UUID(int=7)}"
                for one in (*item.get("parameters", ()), *operation.get("parameters", ()))
                if one["in"] == "query" and one.get("required")
            ]
            query = f"?{'&'.join(wanted)}" if wanted else ""
            form = body_schema(document, operation, "application/x-www-form-urlencoded")
            fields = dict.fromkeys(form.get("required", ()), "text") if form else None
            schema = body_schema(document, operation)
            found.append(Operation(method.upper(), template, query, schema, fields))
    return found


def body_schema(
    document: Mapping[str, Any], operation: Mapping[str, Any], media_type: str = "application/json"
) -> Mapping[str, Any] | None:
    """The schema of the body with every reference in it resolved, if there is one."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get(media_type, {}).get("schema")
    return None if schema is None else _resolved(document, schema)


def _resolved(document: Mapping[str, Any], value: Any, inside: tuple[str, ...] = ()) -> Any:
    """A schema that refers to itself is cut at the second round."""
    if isinstance(value, list):
        return [_resolved(document, one, inside) for one in value]
    if not isinstance(value, Mapping):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str):
        if reference in inside:
            return {}
        target = document["components"]["schemas"][reference.rpartition("/")[2]]
        return _resolved(document, target, (*inside, reference))
    return {name: _resolved(document, one, inside) for name, one in value.items()}
