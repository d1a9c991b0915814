"""BillingService's calls to UserAPI: collect a payment, order a refund, close an invoice's payments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from shared.money import Money
from shared.service_client import ServiceClient


class UserApi:
    """UserAPI's internal routes (docs/contracts.md §4).

    Every call raises AppError with UserAPI's or PayAPI's own code for a refusal, and NoAnswer when the
    outcome is not known: then the same call with the same key is the only safe retry.
    """

    def __init__(self, calls: ServiceClient) -> None:
        self._calls = calls

    async def collect(self, attempt_id: UUID, body: Mapping[str, Any]) -> None:
        """Asks to charge the consented method; ``attempt_id`` becomes the payment's id.

        ``body`` is what the attempt fixed: user, subscription, invoice, amount, description, receipt. Final
        refusals: ``no-consent``, ``no-method``; ``payment-in-progress`` means later.
        """
        await self._calls.call("POST", "/internal/v1/payments", json=body, idempotency_key=attempt_id)

    async def refund(self, order_id: UUID, *, payment_id: UUID, amount: Money, reason: str) -> None:
        """Sends a refund order; its id is the key all the way to the provider."""
        await self._refund(payment_id, order_id, "refund_order_id", amount, reason)

    async def redrive_cancellation(
        self, cancellation_id: UUID, *, payment_id: UUID, amount: Money, reason: str
    ) -> None:
        """Sends a user's cancellation again, under its own id."""
        await self._refund(payment_id, cancellation_id, "cancellation_id", amount, reason)

    async def close_payments(self, order_id: UUID, *, invoice_id: UUID) -> str:
        """Closes what is open at PayAPI for an invoice: ``closed``, ``in_flight`` or ``paid``.

        An answer of 'not yet' is final for its key, so a later question needs another ``order_id``.
        """
        path = f"/internal/v1/invoices/{invoice_id}/close-payments"
        answer = await self._calls.call("POST", path, json={}, idempotency_key=order_id)
        return str(answer.get("result"))

    async def _refund(self, payment_id: UUID, key: UUID, name: str, amount: Money, reason: str) -> None:
        body = {
            name: str(key),
            "amount": {"amount": amount.amount, "currency": amount.currency},
            "reason": reason,
        }
        path = f"/internal/v1/payments/{payment_id}/refunds"
        await self._calls.call("POST", path, json=body, idempotency_key=key)
