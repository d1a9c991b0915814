"""The periodic tasks: each asks BillingAPI to do what is due and carries ids only.

Tasks may be delivered twice, late, or not at all: BillingAPI re-checks what is due, and the next tick of the
timetable asks again. So nothing is retried here and a failure only leaves a line and a count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from prometheus_client import Counter, Gauge, Histogram

from scheduler.app import app
from scheduler.billing_client import billing
from shared import correlation, logs, tracing
from shared.errors import AppError
from shared.ids import new_id

RUNS: Final = Counter("scheduler_tasks_total", "Tasks done", ["task", "outcome"])
SECONDS: Final = Histogram("scheduler_task_duration_seconds", "Time a task took", ["task"])
BROKEN: Final = Gauge("billing_invariants_broken", "Invariants that do not hold, by the last check")
CHECKED_AT: Final = Gauge(
    "billing_invariants_checked_timestamp_seconds",
    "When all invariants were last checked to the end, Unix time",
)

log = logs.logger(__name__)


def _observed(name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """Runs a task's call under a correlation id of its own; a refusal is logged and counted, not raised."""
    started = time.perf_counter()
    with correlation.correlated(str(new_id())), tracing.doing(f"task {name}"):
        try:
            outcome = work()
        except AppError as error:
            RUNS.labels(name, error.code).inc()
            log.warning("task-refused", task=name, code=error.code, detail=error.detail)
            return None
        finally:
            SECONDS.labels(name).observe(time.perf_counter() - started)
        RUNS.labels(name, "done").inc()
        log.info("task-done", task=name, **{f"n_{key}": value for key, value in outcome.items()})
        return outcome


def _key() -> str:
    """The Idempotency-Key of a task's call: the task's own id, so that a second delivery asks the same."""
    task = app.current_task
    return str((task and task.request.id) or new_id())


@app.task(name="scheduler.tasks.start_billing_run")
def start_billing_run() -> None:
    """Asks what is due and sends one task per shard."""

    def work() -> dict[str, Any]:
        run_id, shards = billing().start_billing_run(_key())
        if run_id is not None:
            for shard in range(shards):
                run_billing_shard.delay(str(run_id), shard)
        return {"run": str(run_id) if run_id else None, "shards": shards}

    _observed("start_billing_run", work)


@app.task(name="scheduler.tasks.run_billing_shard")
def run_billing_shard(run_id: str, shard: int) -> None:
    """Invoices one shard of a run."""
    _observed("run_billing_shard", lambda: billing().run_billing_shard(UUID(run_id), shard, _key()))


@app.task(name="scheduler.tasks.run_collection")
def run_collection() -> None:
    """Plans the collection of due invoices."""
    _observed("run_collection", lambda: billing().run_collection(_key()))


@app.task(name="scheduler.tasks.run_maintenance")
def run_maintenance() -> None:
    """Trials, expiry, overdue."""
    _observed("run_maintenance", lambda: billing().run_maintenance(_key()))


@app.task(name="scheduler.tasks.check_invariants")
def check_invariants() -> None:
    """Checks the Billing database's invariants; a broken one is an alarm, by log and by metric."""

    def work() -> dict[str, Any]:
        report = billing().invariants()
        broken = [item["name"] for item in report["items"] if not item["holds"]]
        BROKEN.set(len(broken))
        CHECKED_AT.set_to_current_time()
        if broken:
            log.error("invariants-broken", names=broken)
        return {"checked": len(report["items"]), "broken": len(broken)}

    _observed("check_invariants", work)
