"""BillingAPI as UserAPI calls it: paths, bodies and the shape of its answers (docs/contracts.md, 3)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.money import Money
from shared.queue.messages.invoices import InvoiceStatus, SubscriptionStatus
from shared.service_client import NoAnswer, ServiceClient

TIMEOUT_SECONDS: Final = 2.0
PAGE: Final = 100

View = TypeVar("View", bound=BaseModel)


class SubscriptionView(BaseModel):
    """A subscription or one-time purchase; unknown members are kept and passed on."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: UUID
    user_id: UUID
    kind: Literal["recurring", "one_time"]
    product_id: UUID
    price_id: UUID
    status: SubscriptionStatus


class InvoiceLineView(BaseModel):
    """One line; ``net`` is what it costs after discounts, VAT included."""

    model_config = ConfigDict(extra="allow", frozen=True)

    description: dict[str, str]
    quantity: int = 1
    net: Money
    vat_rate_bp: int


class InvoiceView(BaseModel):
    """An invoice; ``amount_due`` is what is left to pay."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: UUID
    number: str
    user_id: UUID
    subscription_id: UUID | None
    kind: str
    status: InvoiceStatus
    total: Money
    amount_due: Money
    lines: list[InvoiceLineView]


class AccessBasis(BaseModel):
    """A subscription or purchase that gives access until ``until`` (UTC; None: without an end).

    Of ``grants``, ``reduced_grants`` go on until ``reduced_until`` (None: nothing goes on).
    """

    model_config = ConfigDict(frozen=True)

    subscription_id: UUID
    user_id: UUID
    product_id: UUID
    status: SubscriptionStatus
    grants: list[str]
    until: datetime | None
    reduced_grants: list[str] = []
    reduced_until: datetime | None = None


class Started(BaseModel):
    """The answer to starting a subscription: its invoice is open, or paid already when it is of 0."""

    model_config = ConfigDict(frozen=True)

    subscription: SubscriptionView
    invoice: InvoiceView | None


class ChangeQuote(BaseModel):
    """What a change of product costs now; its other members are passed on."""

    model_config = ConfigDict(extra="allow", frozen=True)

    amount_due: Money


class ProductChange(BaseModel):
    """The answer to a change of product; no invoice: nothing is due now."""

    model_config = ConfigDict(frozen=True)

    subscription: SubscriptionView
    invoice: InvoiceView | None = None
    quote: ChangeQuote | None = None


class Cancellation(BaseModel):
    """What BillingAPI decided about cancelling a payment; ``cancellation_id`` is PayAPI's key."""

    model_config = ConfigDict(frozen=True)

    cancellation_id: UUID
    action: Literal["void", "refund"]
    amount: Money


class BillingApi:
    """Raises AppError with BillingAPI's own code for a refusal and NoAnswer when the outcome is not known."""

    def __init__(self, base_url: str, token: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = ServiceClient(
            "billing-api", base_url, token, timeout_seconds=TIMEOUT_SECONDS, transport=transport
        )

    async def quote(self, body: dict[str, Any]) -> dict[str, Any]:
        return await self._client.call("POST", "/internal/v1/quotes", json=body)

    async def start_subscription(self, body: dict[str, Any], key: UUID) -> Started:
        path = "/internal/v1/subscriptions"
        return self._as(Started, await self._client.call("POST", path, json=body, idempotency_key=key))

    async def abandon_subscription(self, subscription_id: UUID, key: UUID) -> None:
        """Ends an incomplete subscription whose invoice PayAPI has closed."""
        path = f"/internal/v1/subscriptions/{subscription_id}/abandon"
        await self._client.call("POST", path, json={}, idempotency_key=key)

    async def command_subscription(
        self, subscription_id: UUID, command: str, body: dict[str, Any], key: UUID
    ) -> dict[str, Any]:
        """``cancel``, ``reactivate``, ``pause``, ``resume``, ``abandon-change``: ``{subscription}``."""
        path = f"/internal/v1/subscriptions/{subscription_id}/{command}"
        return await self._client.call("POST", path, json=body, idempotency_key=key)

    async def change_product(self, subscription_id: UUID, body: dict[str, Any], key: UUID) -> ProductChange:
        path = f"/internal/v1/subscriptions/{subscription_id}/change-product"
        return self._as(ProductChange, await self._client.call("POST", path, json=body, idempotency_key=key))

    async def list_subscriptions(self, params: dict[str, str | int]) -> dict[str, Any]:
        return await self._client.call("GET", "/internal/v1/subscriptions", params=params)

    async def list_invoices(self, params: dict[str, str | int]) -> dict[str, Any]:
        return await self._client.call("GET", "/internal/v1/invoices", params=params)

    async def get_subscription(self, subscription_id: UUID) -> SubscriptionView:
        path = f"/internal/v1/subscriptions/{subscription_id}"
        return self._as(SubscriptionView, await self._client.call("GET", path))

    async def get_invoice(self, invoice_id: UUID) -> InvoiceView:
        return self._as(InvoiceView, await self._client.call("GET", f"/internal/v1/invoices/{invoice_id}"))

    async def open_invoices(self, user_id: UUID) -> list[InvoiceView]:
        params: dict[str, str | int] = {"user_id": str(user_id), "status": "open"}
        answer = await self._client.call("GET", "/internal/v1/invoices", params=params)
        return [self._as(InvoiceView, item) for item in answer.get("items", [])]

    async def access_bases(self, user_id: UUID | None = None) -> list[AccessBasis]:
        """All that gives access, of one user or of everybody, page by page."""
        params: dict[str, str | int] = {"limit": PAGE}
        if user_id is not None:
            params["user_id"] = str(user_id)
        found: list[AccessBasis] = []
        while True:
            answer = await self._client.call("GET", "/internal/v1/access-bases", params=params)
            found += [self._as(AccessBasis, item) for item in answer.get("items", [])]
            if answer.get("next_cursor") is None:
                return found
            params["cursor"] = str(answer["next_cursor"])

    async def decide_cancellation(self, payment_id: UUID, body: dict[str, Any], key: UUID) -> Cancellation:
        path = f"/internal/v1/payments/{payment_id}/cancellations"
        return self._as(Cancellation, await self._client.call("POST", path, json=body, idempotency_key=key))

    def _as(self, view: type[View], answer: Any) -> View:
        try:
            return view.model_validate(answer)
        except ValidationError as error:
            raise NoAnswer("billing-api", "an answer of another shape") from error

    async def aclose(self) -> None:
        await self._client.aclose()
