"""How long the work at hand may still wait: one moment per request, known to everything that waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ends_at: ContextVar[float | None] = ContextVar("wait_budget_ends_at", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """All waits inside end together after ``seconds``; inside another budget the nearer end holds."""
    outer, own = _ends_at.get(), time.monotonic() + seconds
    token = _ends_at.set(own if outer is None else min(own, outer))
    try:
        yield
    finally:
        _ends_at.reset(token)


def left(at_most_seconds: float, keep_seconds: float = 0.0) -> float:
    """Seconds one wait may take: ``at_most_seconds``, or what the budget has left but for ``keep_seconds``.

    Never below 0. Work without a budget (a worker's) waits as long as it is told.
    """
    ends_at = _ends_at.get()
    if ends_at is None:
        return at_most_seconds
    return min(at_most_seconds, max(0.0, ends_at - time.monotonic() - keep_seconds))
