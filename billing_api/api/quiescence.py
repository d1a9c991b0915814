"""/internal/v1/quiescence: whether anything is still under way in BillingAPI."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing_api.api.bodies import QuiescenceBody
from billing_api.api.internal import InternalView
from billing_api.billing_service.database import cursor
from billing_api.billing_service.models import (
    LIVE_ATTEMPTS,
    BillingRun,
    CollectionAttempt,
    OutgoingOrder,
    PaymentCancellation,
    RunTick,
)


def _unpublished() -> int:
    at = cursor()
    at.execute("SELECT count(*) FROM outbox WHERE published_at IS NULL")
    return int(at.fetchone()[0])


class Quiescence(InternalView):
    @extend_schema(operation_id="quiescence", tags=["operations"], responses={200: QuiescenceBody})
    def get(self, request: Request) -> Response:
        """What is still pending here, and how far each periodic run has come by the suite's clock."""
        pending = {
            "outbox": _unpublished(),
            "orders": OutgoingOrder.objects.filter(state="pending").count(),
            "collection_attempts": CollectionAttempt.objects.filter(state__in=LIVE_ATTEMPTS).count(),
            "cancellations": PaymentCancellation.objects.filter(state="open").count(),
            "billing_runs": BillingRun.objects.filter(status="running").count(),
        }
        ticks = {tick.kind: tick.as_of for tick in RunTick.objects.all()}
        body = {"quiet": not any(pending.values()), "pending": pending, "ticks": ticks}
        return Response(QuiescenceBody(body).data)
