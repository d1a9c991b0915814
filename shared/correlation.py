"""The correlation id of the work at hand: set at the edge, carried through HTTP and events."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from shared.ids import new_id

HEADER: Final = "X-Correlation-ID"
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")

_correlation: ContextVar[str | None] = ContextVar("correlation_id", default=None)
_causation: ContextVar[str | None] = ContextVar("causation_id", default=None)


def current() -> str:
    """The correlation id at hand; a new one when the work began by itself."""
    value = _correlation.get()
    if value is None:
        value = str(new_id())
        _correlation.set(value)
    return value


def causation() -> str | None:
    """The id of the event being handled, if any."""
    return _causation.get()


def accept(value: str | None) -> str:
    """A caller's id when it is well formed, else a new one (log lines must not be forged through it)."""
    return value if value and _ACCEPTED.fullmatch(value) else str(new_id())


@contextmanager
def correlated(correlation_id: str, causation_id: str | None = None) -> Iterator[None]:
    """Everything inside carries these ids."""
    first, second = _correlation.set(correlation_id), _causation.set(causation_id)
    try:
        yield
    finally:
        _correlation.reset(first)
        _causation.reset(second)
