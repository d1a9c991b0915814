"""Billing runs and whether billing has anything left to do."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from billing_api.billing_service.database import cursor
from billing_api.billing_service.models import (
    LIVE_ATTEMPTS,
    BillingRun,
    CollectionAttempt,
    Invoice,
    OutgoingOrder,
    PaymentCancellation,
    RunTick,
)
from billing_api.billing_service.orders import cancellations_by_hand
from billing_api.billing_service.queries.shapes import moment, money
from shared.errors import not_found


def run_view(run_id: UUID) -> dict[str, Any]:
    """Raises ``billing-run-not-found``."""
    run = BillingRun.objects.filter(id=run_id).first()
    if run is None:
        raise not_found("billing-run")
    failed = run.items.filter(state="error").order_by("id")[:100]
    return {
        "id": str(run.id),
        "as_of": moment(run.as_of),
        "dry_run": run.is_dry,
        "status": run.status,
        "due": run.due,
        "shards": run.shards,
        "invoices": run.invoices,
        "total": money(run.total_minor, "RUB"),
        "errors": run.errors,
        "skipped": run.skipped,
        "failed_items": [
            {"subscription_id": str(item.subscription_id), "error": item.error} for item in failed
        ],
        "started_at": moment(run.started_at),
        "finished_at": moment(run.finished_at),
    }


def _uncollected() -> int:
    waiting = Invoice.objects.filter(
        status="open", collects_automatically=True, amount_due_minor__gt=0, next_collection_at__isnull=False
    )
    collected = RunTick.objects.filter(kind="collection").first()
    return waiting.filter(issued_at__gte=collected.as_of).count() if collected else waiting.count()


def quiescence() -> dict[str, Any]:
    """``{quiet, pending, ticks}``; a closing that waits for money in flight counts too.

    What waits for a person (a refund by hand) does not: nothing of it moves by itself.
    ``uncollected``: invoices to be collected that were issued after the last collection run began.
    """
    with cursor() as database:
        database.execute("SELECT count(*) FROM outbox WHERE published_at IS NULL")
        (outbox,) = database.fetchone()
    pending = {
        "outbox": outbox,
        "orders": OutgoingOrder.objects.filter(state="pending").count(),
        "collection_attempts": CollectionAttempt.objects.filter(state__in=LIVE_ATTEMPTS).count(),
        "cancellations": PaymentCancellation.objects.filter(state="open")
        .exclude(id__in=cancellations_by_hand())
        .count(),
        "uncollected": _uncollected(),
    }
    ticks = {tick.kind: moment(tick.as_of) for tick in RunTick.objects.all()}
    return {
        "quiet": not any(pending.values()),
        "pending": pending,
        "ticks": {kind: ticks.get(kind) for kind in ("billing", "collection", "maintenance")},
    }
