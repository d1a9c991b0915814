"""How many times over the repeated tests run: once in `make test`, more by TEST_ROUNDS."""

from __future__ import annotations

import os


def rounds() -> int:
    return int(os.environ.get("TEST_ROUNDS", "1"))
