"""Writes amounts the provider's way: decimal numbers out of integer minor units, no float anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shared.money import EXPONENTS, minor_to_decimal_text


class Amount(str):
    """Decimal digits to be written as a JSON number; made by ``amount_of`` alone."""


def amount_of(amount_minor: int, currency: str) -> Amount:
    """The provider's amount from integer minor units: ``49900`` RUB is ``499.00``."""
    if currency not in EXPONENTS:
        raise ValueError("unknown currency")
    return Amount(minor_to_decimal_text(amount_minor, currency))


def encode(value: Any) -> bytes:
    """JSON in which every Amount stands as a decimal number with its exact digits: ``499.00``."""
    return _encode(value).encode()


def _encode(value: Any) -> str:
    if isinstance(value, Amount):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(name)}:{_encode(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_encode(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
