"""How a billing run ends: with its last shard, or by a later run when its shards were lost on the way."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Count, Q, Sum

from billing_api.billing_service import ticks
from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import BillingRun, RunItem
from shared import logs

# Of the suite's clock, without any sign of life. One that does live only has its rest billed by another.
DEAD_AFTER: Final = timedelta(minutes=15)
NOT_REACHED: Final = "not reached; the next run bills what is still due"

log = logs.logger(__name__)


def finish(run_id: UUID, now: datetime) -> bool:
    """Finishes the run when nothing of it is left to do, with the sums of its items; True when it did."""
    with atomic():
        held = BillingRun.objects.select_for_update().get(id=run_id)
        items = RunItem.objects.filter(run=held)
        if held.status == "finished" or items.filter(state="pending").exists():
            return False
        held.status, held.finished_at = "finished", now
        sums = items.aggregate(
            invoices=Sum("invoices"),
            total=Sum("total_minor"),
            errors=Count("id", filter=Q(state="error")),
            skipped=Count("id", filter=Q(state="skipped")),
            lost=Count("id", filter=Q(error=NOT_REACHED)),
        )
        held.invoices, held.total_minor = sums["invoices"], sums["total"]
        held.errors, held.skipped = sums["errors"], sums["skipped"]
        held.save(using="billing")
        if not held.is_dry and not sums["lost"]:
            ticks.complete("billing", held.as_of, now)
        return True


def close_dead(now: datetime) -> int:
    """Ends the runs whose shards were lost; gives how many. What they did not reach stays due.

    Their subscriptions are not blamed: it counts as no failure of theirs. A subscription that is being billed
    at this moment is passed over, and its run is left to the shard that has it.
    """
    closed = 0
    silent_since = now - DEAD_AFTER
    alive = RunItem.objects.filter(settled_at__gt=silent_since).values("run_id")
    dead = BillingRun.objects.filter(status="running", started_at__lte=silent_since).exclude(id__in=alive)
    for run_id in list(dead.order_by("id").values_list("id", flat=True)):
        with atomic():
            left = RunItem.objects.select_for_update(skip_locked=True).filter(run_id=run_id, state="pending")
            lost = list(left.values_list("id", flat=True))
            RunItem.objects.filter(id__in=lost).update(state="error", error=NOT_REACHED, settled_at=now)
            closed += finish(run_id, now)
        log.warning("billing-run-lost", run_id=str(run_id), not_reached=len(lost))
    return closed
