"""The circuit breaker's port, and purgatory behind it: in memory, one circuit per provider and process."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Protocol, Self

from prometheus_client import Gauge
from purgatory.domain.model import Context, OpenedState

from shared import logs

OPEN: Final = Gauge("provider_circuit_open", "1 while nothing new is sent to the provider", ["provider"])

log = logs.logger(__name__)


class Breaker(Protocol):
    """Opens after several failures in a row; after a while one call's success closes it again."""

    def is_open(self) -> bool: ...

    def report(self, *, answered: bool) -> None:
        """What became of a call: the provider answered (whatever it said), or it did not."""
        ...


class _NoAnswer(Exception):
    """Tells the circuit of a failure; never leaves this file."""


class PurgatoryBreaker:
    """``failures`` in a row open the circuit for ``open_seconds``."""

    def __init__(self, name: str, failures: int, open_seconds: float) -> None:
        self._name = name
        self._circuit = Context(name, failures, open_seconds)

    def is_open(self) -> bool:
        opened_at = self._circuit.opened_at
        return opened_at is not None and time.time() <= opened_at + self._circuit.ttl

    def report(self, *, answered: bool) -> None:
        before = self._circuit.state
        try:
            with self._circuit, _Failing(not answered):
                pass
        except (OpenedState, _NoAnswer):
            pass  # an old call's end says nothing new while the circuit is open
        self._circuit.messages.clear()
        if self._circuit.state != before:
            log.warning("provider-circuit", provider=self._name, state=self._circuit.state)
            OPEN.labels(self._name).set(self._circuit.state == "opened")


class _Failing:
    """A block that ends in a failure when told so: the only language purgatory understands."""

    def __init__(self, fails: bool) -> None:
        self._fails = fails

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fails:
            raise _NoAnswer
