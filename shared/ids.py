"""Identifiers: UUIDv7 for new things, UUIDv5 for keys derived from a row."""

from __future__ import annotations

import os
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid5

# Namespace of every derived key of the suite (a constant drawn once).
_DERIVED: Final = UUID("3c6f2f0a-6a0e-5c53-9a59-0d5d3b1f7a11")


# The kernel is asked for many ids at once: its answer costs more than the rest of an id.
_VERSION: Final = 7
_ID_BYTES: Final = 10
_IDS_AT_ONCE: Final = 128
_unused: Final[deque[int]] = deque()  # all of an id but its moment
os.register_at_fork(after_in_child=_unused.clear)  # no two processes use the same


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): ordered by host milliseconds, 74 random bits. Not a secret."""
    try:
        rest = _unused.popleft()
    except IndexError:
        rest = _draw()
    # Ids use the host clock on purpose: moving the suite clock must not make ids collide or jump.
    return UUID(int=time.time_ns() // 1_000_000 << 80 | rest)


def _draw() -> int:
    drawn = os.urandom(_ID_BYTES * _IDS_AT_ONCE)
    rests = [_rest(drawn[at : at + _ID_BYTES]) for at in range(0, len(drawn), _ID_BYTES)]
    _unused.extend(rests[1:])
    return rests[0]


def _rest(drawn: bytes) -> int:
    random_bits = int.from_bytes(drawn, "big")
    return _VERSION << 76 | ((random_bits >> 62) & 0xFFF) << 64 | 0b10 << 62 | random_bits & (2**62 - 1)


def made_at(identifier: UUID) -> datetime:
    """When the host made a UUIDv7, UTC; the beginning of time for any other UUID."""
    milliseconds = identifier.int >> 80 if identifier.version == _VERSION else 0
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def derived_id(row_id: UUID, step: str) -> UUID:
    """The same UUIDv5 for the same row and step, so that a resumed run repeats the same calls."""
    return uuid5(_DERIVED, f"{row_id}:{step}")
