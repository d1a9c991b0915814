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

    async def collect(
        self,
        attempt_id: UUID,
        *,
        user_id: UUID,
        subscription_id: UUID,
        invoice_id: UUID,
        amount: Money,
        description: str,
        receipt: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Asks to charge the consented method; ``attempt_id`` becomes the payment's id. Gives the payment.

        Final refusals: ``no-consent``, ``no-method``; ``payment-in-progress`` means later.
        """
        body = {
            "user_id": str(user_id),
            "subscription_id": str(subscription_id),
            "invoice_id": str(invoice_id),
            "amount": _money(amount),
            "description": description,
            "receipt": receipt,
        }
        answer = await self._calls.call(
            "POST", "/internal/v1/payments", json=body, idempotency_key=attempt_id
        )
        return _part(answer, "payment")

    async def refund(self, order_id: UUID, *, payment_id: UUID, amount: Money, reason: str) -> dict[str, Any]:
        """Sends a refund order; its id is the key all the way to the provider. Gives the payment."""
        body = {"refund_order_id": str(order_id), "amount": _money(amount), "reason": reason}
        return await self._refund(payment_id, order_id, body)

    async def redrive_cancellation(
        self, cancellation_id: UUID, *, payment_id: UUID, amount: Money, reason: str
    ) -> dict[str, Any]:
        """Sends a user's cancellation again, under its own id. Gives the payment."""
        body = {"cancellation_id": str(cancellation_id), "amount": _money(amount), "reason": reason}
        return await self._refund(payment_id, cancellation_id, body)

    async def close_payments(self, order_id: UUID, *, invoice_id: UUID) -> str:
        """Closes what is open at PayAPI for an invoice: ``closed``, ``in_flight`` or ``paid``."""
        path = f"/internal/v1/invoices/{invoice_id}/close-payments"
        answer = await self._calls.call("POST", path, json={}, idempotency_key=order_id)
        return str(answer.get("result"))

    async def payment(self, payment_id: UUID) -> dict[str, Any]:
        """PayAPI's view of a payment, for reconciliation."""
        return await self._calls.call("GET", f"/internal/v1/payments/{payment_id}")

    async def _refund(self, payment_id: UUID, key: UUID, body: Mapping[str, Any]) -> dict[str, Any]:
        path = f"/internal/v1/payments/{payment_id}/refunds"
        answer = await self._calls.call("POST", path, json=body, idempotency_key=key)
        return _part(answer, "payment")


def _money(amount: Money) -> dict[str, Any]:
    return {"amount": amount.amount, "currency": amount.currency}


def _part(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = answer.get(name)
    return part if isinstance(part, dict) else dict(answer)
