"""The whole timetable: what is asked of BillingAPI, and how often in real time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

# Ticks between two runs. BillingAPI decides by its own clock what is due; a tick with nothing due costs one
# request. Adding a periodic job: one task in tasks.py and one row here.
TIMETABLE: Final[dict[str, tuple[str, int]]] = {
    "issue-periodic-invoices": ("scheduler.tasks.start_billing_run", 1),
    "collect-payments": ("scheduler.tasks.run_collection", 1),
    "keep-house": ("scheduler.tasks.run_maintenance", 1),
    "check-invariants": ("scheduler.tasks.check_invariants", 30),
}
_STALE_AFTER_TICKS: Final = 3


def schedule(tick_seconds: float) -> dict[str, dict[str, Any]]:
    """Celery's form of the timetable. A message nobody took for three of its intervals is dropped: the next
    one asks the same question, so a worker that was away does not find thousands."""
    return {
        name: {
            "task": task,
            "schedule": timedelta(seconds=tick_seconds * ticks),
            "options": {"expires": tick_seconds * ticks * _STALE_AFTER_TICKS},
        }
        for name, (task, ticks) in TIMETABLE.items()
    }
