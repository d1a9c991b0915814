"""A figure with its bound, and how figures are told: a table, then the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """``at_least`` / ``at_most`` is what it must hold; neither: told for information."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool:
        too_small = self.at_least is not None and self.value < self.at_least
        too_large = self.at_most is not None and self.value > self.at_most
        return not too_small and not too_large

    @property
    def bound(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return f"<= {self.at_most:g}" if self.at_most is not None else ""


def tell(figures: Sequence[Figure]) -> int:
    """Prints them; gives the exit code: 1 when a bound is missed."""
    for one in figures:
        mark = "" if one.holds else "   MISSED"
        print(f"  {one.name:<52}{one.value:>12.2f} {one.unit:<10}{one.bound:>10}{mark}")
    print(json.dumps([asdict(one) | {"holds": one.holds} for one in figures]))
    return 0 if all(one.holds for one in figures) else 1
