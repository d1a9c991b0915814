"""The calls billing makes to UserAPI: collect a payment, refund, close the payments of an invoice, read."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from billing_api.billing_service.models import OutgoingOrder
from shared.money import Money
from shared.service_client import SyncServiceClient


class UserApi:
    """Every write carries the order's id as its Idempotency-Key; raises AppError and NoAnswer."""

    def __init__(self, client: SyncServiceClient) -> None:
        self._client = client

    def collect(self, order: OutgoingOrder) -> dict[str, Any]:
        """A12: charges the invoice by the subscription's consent; ``{payment}``, its outcome by event."""
        return self._client.call("POST", "/internal/v1/payments", json=order.body, idempotency_key=order.id)

    def refund(self, order: OutgoingOrder) -> dict[str, Any]:
        """Takes money back, or carries out a cancellation (``kind`` cancellation)."""
        name = "cancellation_id" if order.kind == "cancellation" else "refund_order_id"
        body = {
            name: str(order.id),
            "amount": Money(order.amount_minor, order.currency).as_json(),
            "reason": order.body.get("reason", ""),
        }
        return self._client.call(
            "POST",
            f"/internal/v1/payments/{order.payment_id}/refunds",
            json=body,
            idempotency_key=order.id,
        )

    def close_payments(self, order: OutgoingOrder, attempt: UUID) -> dict[str, Any]:
        """``{invoice_id, result}``: closed | in_flight | paid. Each asking has a key: answers change."""
        return self._client.call(
            "POST",
            f"/internal/v1/invoices/{order.invoice_id}/close-payments",
            json={},
            idempotency_key=attempt,
        )

    def read_payments(self, order: OutgoingOrder) -> list[dict[str, Any]]:
        """A12: PayAPI's views of the payment asked for, or of all payments of an invoice."""
        if order.payment_id is not None:
            return [self._client.call("GET", f"/internal/v1/payments/{order.payment_id}")]
        params: dict[str, str | int] = {
            "user_id": order.body["user_id"],
            "invoice_id": str(order.invoice_id),
            "limit": 100,
        }
        found: list[dict[str, Any]] = self._client.call("GET", "/internal/v1/payments", params=params)[
            "items"
        ]
        return found
