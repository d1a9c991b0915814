"""Runs over HTTP: a renewal is issued once, collected once, and nothing is ahead of the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.ids import new_id
from tests.billing_api.api.conftest import NOW, Callers
from tests.billing_api.api.test_problems import problem
from tests.billing_api.api.test_subscriptions import ROOT, answer, customer, publish
from tests.servers import DatabaseUrls

pytestmark = pytest.mark.usefixtures("billing")


@pytest.fixture
def subscription(billing: DatabaseUrls, callers: Callers) -> Any:
    """A running free subscription, whose price is then raised by hand: its renewal has to be paid."""
    from billing_api.billing_service.models import Subscription

    product = publish(0)
    body = {"customer": customer(callers), "product_id": str(product.product_id)}
    started = answer(callers.post(f"{ROOT}/subscriptions", body), 201)
    assert (started["invoice"]["status"], started["subscription"]["status"]) == ("paid", "active")
    Subscription.objects.update(unit_minor=49900)
    return started["subscription"]


def run(callers: Callers, path: str, body: Any = None) -> Any:
    return callers.post(f"{ROOT}/{path}", body)


def test_nothing_due(callers: Callers) -> None:
    started = answer(run(callers, "billing-runs"), 201)
    assert (started["id"], started["due"], started["shards"]) == (None, 0, 0)
    ticks = answer(callers.get(f"{ROOT}/quiescence"), 200)["ticks"]
    assert ticks["billing"] == "2026-04-11T09:00:00Z"


def test_a_renewal_is_issued_once_and_collected_once(callers: Callers, subscription: Any) -> None:
    callers.clock.advance(timedelta(days=31))
    started = answer(run(callers, "billing-runs"), 201)
    assert (started["due"], started["shards"], started["status"]) == (1, 1, "running")
    shard = f"billing-runs/{started['id']}/shards/0"
    done = {"invoices": 1, "errors": 0, "skipped": 0}
    assert answer(run(callers, shard), 200) == done
    assert answer(run(callers, shard), 200) == done  # told again, not done again
    assert answer(callers.get(f"{ROOT}/billing-runs/{started['id']}"), 200)["status"] == "finished"
    renewals = answer(callers.get(f"{ROOT}/invoices?status=open"), 200)["items"]
    assert [item["kind"] for item in renewals] == ["renewal"]
    assert answer(run(callers, "billing-runs"), 201)["due"] == 0

    # What was issued and is not yet planned is work to do, else a time traveller leaves too soon.
    waiting = answer(callers.get(f"{ROOT}/quiescence"), 200)
    assert (waiting["quiet"], waiting["pending"]["uncollected"]) == (False, 1)
    assert answer(run(callers, "collection-runs"), 200) == {"attempts": 1}
    assert answer(run(callers, "collection-runs"), 200) == {"attempts": 0}
    assert answer(callers.get(f"{ROOT}/quiescence"), 200)["pending"]["uncollected"] == 0
    quiet = answer(callers.get(f"{ROOT}/quiescence"), 200)
    assert (quiet["quiet"], quiet["pending"]["orders"], quiet["pending"]["collection_attempts"]) == (
        False,
        1,
        1,
    )
    assert answer(run(callers, "maintenance-runs"), 200)["is_complete"] is True


def test_a_dry_run_issues_nothing(callers: Callers, subscription: Any) -> None:
    callers.clock.advance(timedelta(days=31))
    started = answer(run(callers, "billing-runs", {"dry_run": True}), 201)
    assert answer(run(callers, f"billing-runs/{started['id']}/shards/0"), 200)["invoices"] == 1
    assert answer(callers.get(f"{ROOT}/invoices?status=open"), 200)["items"] == []


def test_no_run_is_ahead_of_the_clock(callers: Callers) -> None:
    later = (NOW + timedelta(seconds=1)).isoformat()
    problem(run(callers, "billing-runs", {"as_of": later}), 422, "as-of-in-the-future")
    problem(run(callers, "billing-runs", {"as_of": "soon"}), 422, "invalid-request")


def test_runs_and_shards_that_do_not_exist(callers: Callers) -> None:
    problem(run(callers, f"billing-runs/{UUID(int=1)}/shards/0"), 404, "billing-run-not-found")
    problem(callers.get(f"{ROOT}/billing-runs/{UUID(int=1)}"), 404, "billing-run-not-found")
    problem(run(callers, f"billing-runs/{UUID(int=1)}/shards/-1"), 404, "not-found")


def test_production_stops_runs_on_skewed_clocks(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    from billing_api.api import skew
    from billing_api.settings import BillingSettings

    monkeypatch.setattr(skew, "settings", lambda: BillingSettings(app_env="production"))
    for path in ("billing-runs", "collection-runs", "maintenance-runs"):
        problem(run(callers, path), 503, "clock-skewed")  # the test's clock stands months away


def test_invariants_hold_after_it(callers: Callers, subscription: Any) -> None:
    found = answer(callers.get(f"{ROOT}/invariants"), 200)
    assert found["holds"] is True
    assert {"ledger_balanced", "one_invoice_per_period"} <= {item["name"] for item in found["items"]}


def test_cancel_and_reactivate(callers: Callers, subscription: Any) -> None:
    path = f"{ROOT}/subscriptions/{subscription['id']}"
    scheduled = answer(callers.post(f"{path}/cancel", {"mode": "period_end"}, key="c"), 200)["subscription"]
    assert (scheduled["cancel_at_period_end"], scheduled["status"]) == (True, "active")
    assert callers.post(f"{path}/cancel", {"mode": "period_end"}, key="c").headers["Idempotent-Replayed"]
    back = answer(callers.post(f"{path}/reactivate"), 200)["subscription"]
    assert back["cancel_at_period_end"] is False
    problem(callers.post(f"{path}/cancel", {"mode": "whenever"}), 422, "invalid-request")
    over = answer(callers.post(f"{path}/cancel", {"mode": "now"}), 200)["subscription"]
    assert over["status"] == "cancelled"
    problem(callers.post(f"{ROOT}/subscriptions/{UUID(int=1)}/cancel"), 404, "subscription-not-found")


def test_a_cancellation_of_an_unknown_payment(callers: Callers) -> None:
    nothing = {"amount": 0, "currency": "RUB"}
    seen = {
        "user_id": str(UUID(int=1)),
        "invoice_id": str(UUID(int=2)),
        "status": "created",
        "captured": nothing,
        "refunded": nothing,
    }
    problem(callers.post(f"{ROOT}/payments/{UUID(int=3)}/cancellations", seen), 404, "invoice-not-found")
    seen["captured"] = {"amount": -1, "currency": "RUB"}
    problem(callers.post(f"{ROOT}/payments/{UUID(int=3)}/cancellations", seen), 422, "invalid-request")


def test_a_run_asked_for_again_with_its_key_is_the_same_run(callers: Callers, subscription: Any) -> None:
    from billing_api.billing_service.models import BillingRun, Invoice

    callers.clock.advance(timedelta(days=31))
    paths = ["billing-runs", "", "collection-runs", "maintenance-runs"]
    for path in paths:
        path = path or f"billing-runs/{BillingRun.objects.get().id}/shards/0"
        key = str(new_id())
        first, again = (callers.post(f"{ROOT}/{path}", {}, key=key) for _ in range(2))
        assert first.status_code in (200, 201)
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (
            None,
            "true",
        )
        problem(callers.post(f"{ROOT}/{path}", {}, key=None), 400, "idempotency-key-missing")
    assert BillingRun.objects.count() == 1
    assert Invoice.objects.filter(kind="renewal").count() == 1


def test_a_shard_that_was_killed_is_resumed_with_its_key(
    callers: Callers, subscription: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every subscription is committed by itself; only the answer was not stored."""
    from billing_api.api import runs
    from billing_api.billing_service.models import Invoice

    callers.clock.advance(timedelta(days=31))
    started = answer(run(callers, "billing-runs"), 201)
    path, key = f"{ROOT}/billing-runs/{started['id']}/shards/0", str(new_id())
    bill = runs.run_billing_shard

    def dies(*given: Any, **more: Any) -> Any:
        bill(*given, **more)
        raise MemoryError

    monkeypatch.setattr(runs, "run_billing_shard", dies)
    assert callers.post(path, {}, key=key).status_code == 500
    assert Invoice.objects.filter(kind="renewal").count() == 1
    monkeypatch.setattr(runs, "run_billing_shard", bill)
    assert answer(callers.post(path, {}, key=key), 200)["invoices"] == 1
    assert Invoice.objects.filter(kind="renewal").count() == 1
