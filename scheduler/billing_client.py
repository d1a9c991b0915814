"""The scheduler's calls to BillingAPI, the only service it talks to."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

from scheduler.settings import SchedulerSettings, settings
from shared.service_client import SyncServiceClient


class BillingClient:
    """Starts runs. All of them may be repeated at any time; BillingAPI does nothing twice.

    ``key``: the Idempotency-Key; a call that is repeated with it is told the same answer.
    Every call raises AppError for a refusal and NoAnswer when the outcome is not known.
    """

    def __init__(self, own: SchedulerSettings) -> None:
        self._calls = SyncServiceClient(
            "billing-api",
            own.billing_api_url,
            own.billing_api_token.get_secret_value(),
            timeout_seconds=own.billing_api_timeout_seconds,
        )

    def start_billing_run(self, key: str) -> tuple[UUID | None, int]:
        """The run for what is due now and its number of shards; (None, 0) when nothing is due."""
        run = self._calls.call("POST", "/internal/v1/billing-runs", json={}, idempotency_key=key)
        return (UUID(run["id"]) if run["id"] else None), int(run["shards"])

    def run_billing_shard(self, run_id: UUID, shard: int, key: str) -> dict[str, Any]:
        """Invoices one shard: ``{invoices, errors, skipped}``."""
        path = f"/internal/v1/billing-runs/{run_id}/shards/{shard}"
        return self._calls.call("POST", path, json={}, idempotency_key=key)

    def run_collection(self, key: str) -> dict[str, Any]:
        """Plans the payments of due invoices: ``{attempts}``."""
        return self._calls.call("POST", "/internal/v1/collection-runs", json={}, idempotency_key=key)

    def run_maintenance(self, key: str) -> dict[str, Any]:
        """Trials, expiry, overdue invoices: counts by name."""
        return self._calls.call("POST", "/internal/v1/maintenance-runs", json={}, idempotency_key=key)

    def invariants(self) -> dict[str, Any]:
        """What the ledger's checks found."""
        return self._calls.call("GET", "/internal/v1/invariants")


_client: BillingClient | None = None
_lock = threading.Lock()


def billing() -> BillingClient:
    """The client of this process; its connections are shared by the worker's threads."""
    global _client
    with _lock:
        if _client is None:
            _client = BillingClient(settings())
        return _client
