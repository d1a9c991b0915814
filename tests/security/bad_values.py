"""Bodies that are wrong in exactly one place, made from an operation's schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

TOO_LONG = "x" * 20_000
NUL = "a\x00b"
HUGE = 10**30
# What cannot be meant where this kind of value is asked for.
WRONG: dict[str, tuple[Any, ...]] = {
    "string": (1, True, [], {}, NUL, TOO_LONG),
    "uuid": ("not-a-uuid", "' OR 1=1 --", 7, NUL),
    "date-time": ("yesterday", "2026-13-45T00:00:00Z", []),
    "date": ("yesterday", "2026-02-30", []),
    "enum": ("no-such-word", 1, [], {}),
    "integer": ("many", 1.5, HUGE, -HUGE, [], {}),
    "number": ("many", [], {}),
    "boolean": ("perhaps", [], {}),
    "array": ("text", 1, {}),
    "object": ("text", 1, []),
}
BY_FORMAT = {
    "uuid": lambda: str(uuid4()),
    "date-time": lambda: "2026-01-31T00:00:00Z",
    "date": lambda: "2026-01-31",
    "email": lambda: "someone@example.com",
}


def good(schema: Mapping[str, Any]) -> Any:
    """A value the schema allows, as small as it can be."""
    schema = meanings(schema)[0]
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = kind_of(schema)
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: good(properties[name]) for name in schema.get("required", ())}
    if kind == "array":
        return [good(schema.get("items", {}))] * max(1, schema.get("minItems", 1))
    if kind in ("integer", "number"):
        return max(1, int(schema.get("minimum", 1)))
    if kind == "boolean":
        return True
    return _good_text(schema)


def _good_text(schema: Mapping[str, Any]) -> str:
    if schema.get("format") in BY_FORMAT:
        return BY_FORMAT[schema["format"]]()
    if schema.get("examples"):
        return str(schema["examples"][0])
    for text in ("RUB", "ru"):
        if re.search(schema.get("pattern", "^$"), text):
            return text
    return "1" * max(1, schema.get("minLength", 1))


def meanings(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The alternatives of a schema but null; itself when it has none."""
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return [meant for one in schema[key] if one.get("type") != "null" for meant in meanings(one)]
    return [schema]


def kind_of(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next(one for one in kind if one != "null")
    return str(kind)


def _wrong_of(schema: Mapping[str, Any]) -> tuple[Any, ...]:
    if "enum" in schema or "const" in schema:
        return WRONG["enum"]
    if schema.get("format") in WRONG:
        return WRONG[str(schema["format"])]
    return WRONG[kind_of(schema)]


def bad_values(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is wrong, in words, and a value with just that, for every alternative and every field below."""
    alternatives = meanings(schema)
    if len({kind_of(one) for one in alternatives}) == 1:
        yield from ((f"= {str(value)[:20]!r}", value) for value in _wrong_of(alternatives[0]))
    for meant in alternatives:
        if kind_of(meant) == "array":
            yield from ((f"[0] {what}", [value]) for what, value in bad_values(meant.get("items", {})))
        elif meant.get("properties"):
            yield from _bad_fields(meant)


def _bad_fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    whole = good(schema)
    required = schema.get("required", ())
    for name in required:
        yield f"{name} is missing", {key: value for key, value in whole.items() if key != name}
    for name, given in schema["properties"].items():
        if given.get("readOnly"):
            continue
        for what, value in bad_values(given):
            yield f"{name} {what}", whole | {name: value}
