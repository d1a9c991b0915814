"""PayAPI as UserAPI calls it: paths, bodies and the shape of its answers (docs/contracts.md, 2)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from shared.money import Money
from shared.queue.messages.payments import PaymentStatus
from shared.service_client import NoAnswer, ServiceClient

# UserAPI spends its 28 s as 2 s BillingAPI + 25 s PayAPI (whose own call to the provider takes up to 23 s).
TIMEOUT_SECONDS: Final = 25.0


class PaymentView(BaseModel):
    """A payment as PayAPI shows it; unknown members are kept and passed on."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: UUID
    invoice_id: UUID | None
    user_id: UUID
    initiator: Literal["customer", "merchant"]
    status: PaymentStatus
    amount: Money
    captured: Money
    refunded: Money
    late: bool = False
    payment_method_id: UUID | None = None
    card_mask: str | None = None
    next_action: dict[str, Any] | None = None
    decline: dict[str, Any] | None = None
    events_url: str | None = None
    created_at: datetime
    updated_at: datetime


class PayApi:
    """Raises AppError with PayAPI's own code for a refusal and NoAnswer when the outcome is not known."""

    def __init__(self, base_url: str, token: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = ServiceClient(
            "pay-api", base_url, token, timeout_seconds=TIMEOUT_SECONDS, transport=transport
        )

    async def start_payment(
        self, payment_id: UUID, body: dict[str, Any], cryptogram: SecretStr | None
    ) -> PaymentView:
        """Charges. The cryptogram is put into the body only here, so that no stored or logged body has it."""
        method = body["method"] | ({"card_cryptogram": cryptogram.get_secret_value()} if cryptogram else {})
        answer = await self._client.call(
            "POST", "/v1/payments", json=body | {"method": method}, idempotency_key=payment_id
        )
        return self._view(answer)

    async def add_method(self, user_id: UUID, body: dict[str, Any], cryptogram: SecretStr) -> PaymentView:
        """Checks a card by a hold that is given back, and saves it; the key is the payment's id."""
        sent = body | {"card_cryptogram": cryptogram.get_secret_value()}
        path = f"/v1/customers/{user_id}/payment-methods"
        return self._view(
            await self._client.call("POST", path, json=sent, idempotency_key=body["payment_id"])
        )

    async def get_payment(self, payment_id: UUID) -> PaymentView:
        return self._view(await self._client.call("GET", f"/v1/payments/{payment_id}"))

    async def list_payments(self, params: dict[str, str | int]) -> dict[str, Any]:
        """A page of payments by ``user_id``, ``invoice_id``, ``status``, ``cursor``, ``limit``."""
        return await self._client.call("GET", "/v1/payments", params=params)

    async def cancel_payment(
        self,
        payment_id: UUID,
        cancellation_id: UUID,
        amount: Money | None,
        reason: str,
        *,
        uncaptured_only: bool = False,
    ) -> PaymentView:
        """Closes, voids or refunds, whichever the state asks for; ``uncaptured_only`` never refunds."""
        body: dict[str, Any] = {"cancellation_id": str(cancellation_id), "reason": reason}
        if uncaptured_only:
            body["uncaptured_only"] = True
        if amount is not None:
            body["amount"] = amount.as_json()
        path = f"/v1/payments/{payment_id}/cancel"
        return self._view(await self._client.call("POST", path, json=body, idempotency_key=cancellation_id))

    async def refund_payment(
        self, payment_id: UUID, refund_order_id: UUID, amount: Money, reason: str
    ) -> PaymentView:
        body = {"refund_order_id": str(refund_order_id), "amount": amount.as_json(), "reason": reason}
        path = f"/v1/payments/{payment_id}/refunds"
        return self._view(await self._client.call("POST", path, json=body, idempotency_key=refund_order_id))

    async def confirm_transfer(
        self, payment_id: UUID, confirmation_id: UUID, amount: Money, reason: str, actor: str
    ) -> PaymentView:
        """Staff saw a bank transfer arrive, whole or in part."""
        body = {
            "confirmation_id": str(confirmation_id),
            "amount": amount.as_json(),
            "reason": reason,
            "actor": actor,
        }
        path = f"/internal/v1/payments/{payment_id}/transfer-confirmations"
        return self._view(await self._client.call("POST", path, json=body, idempotency_key=confirmation_id))

    async def confirm_refund(
        self, payment_id: UUID, refund_id: UUID, finding: str, reason: str, actor: str, key: UUID
    ) -> PaymentView:
        """Staff sent the money of a refund that waits for a person, or saw that it was not sent."""
        body = {"refund_id": str(refund_id), "finding": finding, "reason": reason, "actor": actor}
        path = f"/internal/v1/payments/{payment_id}/refund-confirmations"
        return self._view(await self._client.call("POST", path, json=body, idempotency_key=key))

    async def settle_review(
        self,
        payment_id: UUID,
        finding: str,
        amount: Money | None,
        transaction_id: str | None,
        reason: str,
        actor: str,
        key: UUID,
    ) -> PaymentView:
        """Staff looked at a payment under review."""
        body: dict[str, Any] = {"finding": finding, "reason": reason, "actor": actor}
        if amount is not None:
            body["amount"] = amount.as_json()
        if transaction_id is not None:
            body["transaction_id"] = transaction_id
        path = f"/internal/v1/payments/{payment_id}/review-settlements"
        return self._view(await self._client.call("POST", path, json=body, idempotency_key=key))

    async def close_invoice(self, invoice_id: UUID, key: UUID) -> str:
        """``closed``, ``in_flight`` or ``paid``; only the first lets the invoice be voided."""
        path = f"/v1/invoices/{invoice_id}/close"
        answer = await self._client.call("POST", path, json={}, idempotency_key=key)
        result = answer.get("result")
        if result not in ("closed", "in_flight", "paid"):
            raise NoAnswer("pay-api", "an answer of another shape")
        return str(result)

    async def detach_method(self, user_id: UUID, payment_method_id: UUID) -> None:
        await self._client.call("DELETE", f"/v1/customers/{user_id}/payment-methods/{payment_method_id}")

    async def erase_customer(self, user_id: UUID, key: UUID) -> None:
        """Has PayAPI forget who the customer was; 409 ``payment-in-progress`` while money of theirs moves."""
        await self._client.call("POST", f"/v1/customers/{user_id}/erasure", json={}, idempotency_key=key)

    def _view(self, answer: dict[str, Any]) -> PaymentView:
        try:
            return PaymentView.model_validate(answer)
        except ValidationError as error:
            raise NoAnswer("pay-api", "an answer of another shape") from error

    async def aclose(self) -> None:
        await self._client.aclose()
