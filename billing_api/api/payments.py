"""/internal/v1/payments: payments as billing sees them, and whether one may be cancelled and for how much."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing_api.api.bodies import BookedPaymentBody, CancellationBody
from billing_api.api.documents import IDEMPOTENCY_KEY, page_of
from billing_api.api.internal import InternalView
from billing_api.api.lists import newest_first
from billing_api.api.once import run_once
from billing_api.api.requests import CancellationInput, OfUserQuery, read
from billing_api.billing_service.commands.cancel_payment import PaymentSeen, cancel_payment
from billing_api.billing_service.models import Payment
from billing_api.billing_service.queries.payments import payment_view, payments, payments_of
from billing_api.billing_service.queries.shapes import money
from billing_api.config import wiring


class Payments(InternalView):
    @extend_schema(
        operation_id="list_payments",
        tags=["payments"],
        parameters=[OfUserQuery],
        responses={200: page_of(BookedPaymentBody)},
    )
    def get(self, request: Request) -> Response:
        """Payments of one user or of all; PayAPI's list is compared with it."""
        query = read(OfUserQuery, request.query_params, "query")
        found = payments() if query["user_id"] is None else payments_of(query["user_id"])
        return Response(newest_first(found, "created_at", query, _booked))


def _booked(row: Payment) -> dict[str, Any]:
    return {"user_id": str(row.account.user_id)} | payment_view(row)


class Cancellations(InternalView):
    @extend_schema(
        operation_id="cancel_payment",
        tags=["payments"],
        parameters=[IDEMPOTENCY_KEY],
        request=CancellationInput,
        responses={201: CancellationBody},
    )
    def post(self, request: Request, payment_id: UUID) -> HttpResponse:
        """Applies the rule, fixes the amount and opens the cancellation PayAPI is then asked for."""
        given = read(CancellationInput, request.data)

        def work() -> tuple[int, Any]:
            seen = PaymentSeen(
                payment_id,
                given["user_id"],
                given["invoice_id"],
                given["status"],
                captured_minor=given["captured"]["amount"],
                refunded_minor=given["refunded"]["amount"],
            )
            made = cancel_payment(seen, now=wiring.clock().now())
            return 201, {
                "cancellation_id": made.cancellation_id,
                "payment_id": made.payment_id,
                "action": made.action,
                "amount": money(made.amount.amount, made.amount.currency),
            }

        return run_once(request, work)
