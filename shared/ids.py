"""Identifiers: UUIDv7 for new things, UUIDv5 for keys derived from a row."""

from __future__ import annotations

import os
import time
from typing import Final
from uuid import UUID, uuid5

# Namespace of every derived key of the suite (a constant drawn once).
_DERIVED: Final = UUID("3c6f2f0a-6a0e-5c53-9a59-0d5d3b1f7a11")


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): ordered by host milliseconds, 74 random bits. Not a secret."""
    # Ids use the host clock on purpose: moving the suite clock must not make ids collide or jump.
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80
    value |= 0x7 << 76
    value |= ((random_bits >> 62) & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random_bits & (2**62 - 1)
    return UUID(int=value)


def derived_id(row_id: UUID, step: str) -> UUID:
    """The same UUIDv5 for the same row and step, so that a resumed run repeats the same calls."""
    return uuid5(_DERIVED, f"{row_id}:{step}")
