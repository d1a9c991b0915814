"""Tasks ask BillingAPI over HTTP, carry ids only, and survive its refusals."""

from __future__ import annotations

import time
from uuid import UUID

import pytest

from scheduler import tasks
from tests.scheduler.conftest import RUN, Billing


def test_a_billing_run_sends_one_task_per_shard(billing: Billing, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    monkeypatch.setattr(tasks.run_billing_shard, "delay", lambda *a: sent.append(a))
    tasks.start_billing_run()
    assert sent == [(RUN, 0), (RUN, 1)]


def test_a_shard_is_named_by_ids_only(billing: Billing) -> None:
    tasks.run_billing_shard(RUN, 1)
    assert billing.paths == [f"/internal/v1/billing-runs/{RUN}/shards/1"]


def test_calls_carry_the_schedulers_credential_and_a_correlation_id(billing: Billing) -> None:
    tasks.run_collection()
    ((_, path, headers),) = billing.asked
    assert path == "/internal/v1/collection-runs"
    assert headers["AUTHORIZATION"] == "Bearer the-schedulers-token"
    assert UUID(headers["X_CORRELATION_ID"]).version == 7


def test_a_task_delivered_twice_asks_with_the_same_key(
    billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.run_billing_shard, "delay", lambda *_: None)
    for task, given in (
        (tasks.start_billing_run, ()),
        (tasks.run_billing_shard, (RUN, 0)),
        (tasks.run_collection, ()),
        (tasks.run_maintenance, ()),
    ):
        for task_id in ("first", "first", "second"):
            task.apply(given, task_id=task_id, throw=True)
        task(*given)
        *keys, own = [headers["IDEMPOTENCY_KEY"] for _, _, headers in billing.asked[-4:]]
        assert keys == ["first", "first", "second"]
        assert UUID(own).version == 7


def test_nothing_due_sends_no_shard(billing: Billing, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {"id": None, "due": 0, "shards": 0}
    billing.answers["POST", "/internal/v1/billing-runs"] = ("201 Created", nothing)
    sent: list[object] = []
    monkeypatch.setattr(tasks.run_billing_shard, "delay", lambda *a: sent.append(a))
    tasks.start_billing_run()
    assert sent == []


def test_a_refusal_is_counted_and_does_not_raise(billing: Billing) -> None:
    problem = {"type": "/problems/clock-skewed", "detail": "2.5 s"}
    billing.answers["POST", "/internal/v1/billing-runs"] = ("503 Service Unavailable", problem)
    counted = tasks.RUNS.labels("start_billing_run", "clock-skewed")
    before = counted._value.get()
    tasks.start_billing_run()
    assert counted._value.get() == before + 1


def test_a_billing_api_that_is_away_does_not_raise(billing: Billing) -> None:
    billing.answers["POST", "/internal/v1/maintenance-runs"] = ("500 Internal Server Error", {})
    counted = tasks.RUNS.labels("run_maintenance", "billing-api-unavailable")
    before = counted._value.get()
    tasks.run_maintenance()
    assert counted._value.get() == before + 1


def test_broken_invariants_show_in_the_metric(billing: Billing) -> None:
    tasks.check_invariants()
    assert tasks.BROKEN._value.get() == 1


def test_a_check_that_does_not_finish_leaves_the_moment_of_the_last_that_did(billing: Billing) -> None:
    tasks.CHECKED_AT.set(0)
    tasks.check_invariants()
    checked_at = tasks.CHECKED_AT._value.get()
    assert abs(checked_at - time.time()) < 60
    tasks.CHECKED_AT.set(1)
    billing.answers["GET", "/internal/v1/invariants"] = ("503 Service Unavailable", {})
    tasks.check_invariants()
    assert tasks.CHECKED_AT._value.get() == 1
