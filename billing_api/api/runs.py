"""/internal/v1/…-runs: what the scheduler starts. Repeating any of them does nothing twice."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing_api.api.documents import IDEMPOTENCY_KEY
from billing_api.api.internal import InternalView
from billing_api.api.once import run_in_steps, run_once
from billing_api.api.requests import BillingRunInput, NothingInput, read
from billing_api.api.run_bodies import (
    AttemptsBody,
    BillingRunBody,
    BillingRunReportBody,
    InvariantsBody,
    ShardBody,
)
from billing_api.api.skew import refuse_skew
from billing_api.billing_service import queries
from billing_api.billing_service.commands.issue_periodic_invoices import run_billing_shard, start_billing_run
from billing_api.billing_service.commands.plan_collection import plan_collection
from billing_api.billing_service.commands.run_maintenance import run_maintenance
from billing_api.billing_service.invariants import check_invariants
from billing_api.billing_service.queries.shapes import moment
from billing_api.config import wiring


class BillingRuns(InternalView):
    @extend_schema(
        operation_id="start_billing_run",
        tags=["runs"],
        parameters=[IDEMPOTENCY_KEY],
        request=BillingRunInput,
        responses={201: BillingRunBody},
    )
    def post(self, request: Request) -> HttpResponse:
        """Finds what is due and cuts it into shards; a dry run works out the same and issues nothing."""
        given = read(BillingRunInput, request.data)

        def work() -> tuple[int, Any]:
            refuse_skew()
            run = start_billing_run(as_of=given["as_of"], dry_run=given["dry_run"], now=wiring.clock().now())
            return 201, {
                "id": str(run.run_id) if run.run_id else None,
                "as_of": moment(run.as_of),
                "due": run.due,
                "shards": run.shards,
                "status": run.status,
            }

        return run_once(request, work)


class BillingRunView(InternalView):
    @extend_schema(operation_id="billing_run", tags=["runs"], responses={200: BillingRunReportBody})
    def get(self, request: Request, run_id: UUID) -> Response:
        """How a run stands."""
        return Response(queries.run_view(run_id))


class BillingShard(InternalView):
    @extend_schema(
        operation_id="run_billing_shard",
        tags=["runs"],
        parameters=[IDEMPOTENCY_KEY],
        request=NothingInput,
        responses={200: ShardBody},
    )
    def post(self, request: Request, run_id: UUID, shard: int) -> HttpResponse:
        """Invoices what is still due of one shard."""
        read(NothingInput, request.data)

        def work() -> tuple[int, Any]:
            refuse_skew()
            done = run_billing_shard(run_id, shard, now=wiring.clock().now())
            return 200, {"invoices": done.invoices, "errors": done.errors, "skipped": done.skipped}

        return run_in_steps(request, work)


class CollectionRuns(InternalView):
    @extend_schema(
        operation_id="run_collection",
        tags=["runs"],
        parameters=[IDEMPOTENCY_KEY],
        request=NothingInput,
        responses={200: AttemptsBody},
    )
    def post(self, request: Request) -> HttpResponse:
        """Plans the automatic payments of due invoices; billing-worker sends them."""
        read(NothingInput, request.data)

        def work() -> tuple[int, Any]:
            refuse_skew()
            return 200, {"attempts": plan_collection(now=wiring.clock().now()).attempts}

        return run_in_steps(request, work)


class MaintenanceRuns(InternalView):
    @extend_schema(
        operation_id="run_maintenance",
        tags=["runs"],
        parameters=[IDEMPOTENCY_KEY],
        request=NothingInput,
        responses={200: {"type": "object", "additionalProperties": True}},
    )
    def post(self, request: Request) -> HttpResponse:
        """Trials that end, expiry, overdue invoices: counts by name."""
        read(NothingInput, request.data)

        def work() -> tuple[int, Any]:
            refuse_skew()
            return 200, asdict(run_maintenance(now=wiring.clock().now()))

        return run_in_steps(request, work)


class Invariants(InternalView):
    @extend_schema(operation_id="invariants", tags=["operations"], responses={200: InvariantsBody})
    def get(self, request: Request) -> Response:
        """What must always hold in the Billing database, checked now."""
        found = check_invariants()
        items = [one.as_json() for one in found]
        return Response({"holds": all(one.holds for one in found), "items": items})
