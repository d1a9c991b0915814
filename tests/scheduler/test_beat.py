"""The timetable names real tasks, at the asked pace, with messages that do not pile up."""

from __future__ import annotations

from datetime import timedelta

from scheduler.app import app, configuration
from scheduler.beat import TIMETABLE, schedule
from scheduler.settings import SchedulerSettings


def test_every_row_names_a_registered_task() -> None:
    app.loader.import_default_modules()
    assert {task for task, _ in TIMETABLE.values()} <= set(app.tasks)


def test_the_three_runs_are_asked_for_at_every_tick() -> None:
    table = schedule(10)
    for name in ("issue-periodic-invoices", "collect-payments", "keep-house"):
        assert table[name]["schedule"] == timedelta(seconds=10)
    assert table["check-invariants"]["schedule"] == timedelta(minutes=5)


def test_a_message_nobody_takes_is_dropped_after_three_intervals() -> None:
    assert {row["options"]["expires"] / row["schedule"].total_seconds() for row in schedule(7).values()} == {
        3
    }


def test_tick_comes_from_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("BEAT_TICK_SECONDS", "4")
    conf = configuration(SchedulerSettings())
    assert conf["beat_schedule"]["collect-payments"]["schedule"] == timedelta(seconds=4)


def test_a_standby_takes_over_soon() -> None:
    conf = configuration(SchedulerSettings())
    assert (conf["beat_max_loop_interval"], conf["redbeat_lock_timeout"]) == (2, 10)
