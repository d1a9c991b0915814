"""Keyset cursors: opaque, stable while rows are added."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from shared.errors import AppError, Kind

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100

Row = TypeVar("Row")


def encode_cursor(key: Sequence[str | int]) -> str:
    """The sort key of the last row of a page as an opaque text."""
    packed = json.dumps(list(key), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(cursor: str, *types: type) -> list[Any]:
    """The sort key back; raises ``cursor-invalid`` (400) unless it has exactly these types."""
    refusal = AppError("cursor-invalid", Kind.MALFORMED, "This cursor was not given by this list.")
    try:
        key = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise refusal from error
    if not isinstance(key, list) or [type(part) for part in key] != list(types):
        raise refusal
    return key


def page(
    rows: Sequence[Row], limit: int, key: Callable[[Row], Sequence[str | int]]
) -> tuple[list[Row], str | None]:
    """Cuts ``limit`` rows of up to ``limit + 1`` fetched and gives the next cursor, if there is a next."""
    shown = list(rows[:limit])
    return shown, encode_cursor(key(shown[-1])) if len(rows) > limit and shown else None
