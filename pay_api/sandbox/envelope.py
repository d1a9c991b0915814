"""The shapes of an answer: success, the three kinds of failure, and the bare ones (protocol 1.1)."""

from __future__ import annotations

from typing import Any

Answer = dict[str, Any]


def succeeded(model: Any) -> Answer:
    return {"Model": model, "Success": True, "Message": None}


def done() -> Answer:
    """Success of a method that gives no Model."""
    return {"Success": True, "Message": None}


def declined(model: dict[str, Any]) -> Answer:
    """A decline, or a transaction looked up in a state other than held or charged."""
    return {"Model": model, "Success": False, "Message": None}


def challenged(model: dict[str, Any]) -> Answer:
    """3-D Secure is needed; the model has no ReasonCode, by which clients tell it from a decline."""
    return {"Model": model, "Success": False, "Message": None}


def refused(message: str) -> Answer:
    """A request that was not executed; it has no key ``Model`` at all."""
    return {"Success": False, "Message": message}
