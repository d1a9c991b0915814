"""The readable transcript of the story: steps, calls, events, checks."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Any


class StoryBroken(AssertionError):
    """A step is not as it should be; the story ends and the exit code says so."""


def money(value: dict[str, Any]) -> str:
    """``{"amount": 49900, "currency": "RUB"}`` as ``499.00 RUB``."""
    sign, amount = ("-", -value["amount"]) if value["amount"] < 0 else ("", value["amount"])
    return f"{sign}{amount // 100}.{amount % 100:02d} {value['currency']}"


@dataclass
class Transcript:
    """Prints as the story goes; lines wait for nothing."""

    started: float = field(default_factory=time.monotonic)
    checks: int = 0

    def _print(self, text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self.started:6.1f}s  {text}\n")
        sys.stdout.flush()

    def step(self, title: str) -> None:
        self._print("")
        self._print(f"■ {title}")

    def call(self, who: str, method: str, path: str, status: int, note: str = "") -> None:
        self._print(f"    {who:<8} {method} {path} → {status}{'  ' + note if note else ''}")

    def event(self, stream: str, event: dict[str, Any], note: str) -> None:
        self._print(f"    ⇢ {stream:<18} {event['type']:<28} #{event['aggregatesequence']}  {note}")

    def say(self, text: str) -> None:
        self._print(f"    {text}")

    def check(self, what: str, holds: bool, seen: object = "") -> None:
        """One thing that must be so."""
        self.checks += 1
        if not holds:
            self._print(f"  ✗ {what}" + (f": {seen}" if seen != "" else ""))
            raise StoryBroken(f"{what}: {seen}")
        self._print(f"  ✓ {what}")
