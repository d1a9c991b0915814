"""Checks events against the committed AsyncAPI document."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

DOCUMENT = Path(__file__).resolve().parents[1] / "docs/asyncapi.json"


@functools.cache
def _validators() -> dict[str, Draft202012Validator]:
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    components = {"components": document["components"]}
    return {
        message["name"]: Draft202012Validator(
            {**components, **message["payload"]}, format_checker=FormatChecker()
        )
        for message in document["components"]["messages"].values()
    }


def check(event: dict[str, Any]) -> None:
    """Raises AssertionError that names every place where an event differs from the document."""
    validator = _validators().get(event["type"])
    assert validator is not None, f"{event['type']} is not in {DOCUMENT.name}"
    found = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(event)]
    assert not found, f"{event['type']} differs from {DOCUMENT.name}: {'; '.join(found)}"
