"""BillingAPI as docs/contracts.md describes it, in memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from fastapi import Header

from shared.clock import ManualClock
from shared.ids import new_id
from shared.money import Money
from shared.queue.messages.base import Envelope
from shared.queue.messages.invoices import SubscriptionState
from tests.user_api.commerce.fakes.pay_api import LIVE
from tests.user_api.commerce.fakes.service import FakeService, Refusal, Strict


class Customer(Strict):
    user_id: UUID
    sequence: int
    locale: str
    time_zone: str
    email_hash: str
    email: str
    document_name: str


class QuoteBody(Strict):
    customer: Customer
    product_id: UUID
    price_id: UUID | None = None
    promo_code: str | None = None


class StartBody(QuoteBody):
    expected_amount: Money | None = None
    payment_method_id: UUID | None = None


class CancellationBody(Strict):
    user_id: UUID
    invoice_id: UUID
    status: str
    captured: Money
    refunded: Money


class SubscriptionCancelBody(Strict):
    mode: Literal["period_end", "now"]
    refund_unused: bool | None = None


class ChangeBody(Strict):
    product_id: UUID
    price_id: UUID | None = None
    preview: bool = False
    expected_amount: Money | None = None


class FakeBillingApi(FakeService):
    """``prices`` says what a product costs (minor units); all recurring ones are of one group."""

    source = "billing-api"

    def __init__(self, clock: ManualClock) -> None:
        self.prices: dict[UUID, int] = {}
        self.kinds: dict[UUID, str] = {}
        self.subscriptions: dict[UUID, dict[str, Any]] = {}
        self.invoices: dict[UUID, dict[str, Any]] = {}
        self.started: list[StartBody] = []
        super().__init__(clock)

    def routes(self) -> None:
        app = self.app

        @app.post("/internal/v1/quotes")
        async def quote(body: QuoteBody) -> Any:
            price = self._price(body.product_id)
            return {"product_id": str(body.product_id), "amount_due": Money(price).as_json()}

        @app.post("/internal/v1/subscriptions")
        async def start(body: StartBody, idempotency_key: str | None = Header(None)) -> Any:
            dumped = body.model_dump(mode="json")
            return await self.once("start", idempotency_key, dumped, lambda: self._start(body))

        @app.get("/internal/v1/subscriptions")
        async def listed(user_id: UUID) -> Any:
            items = [item for item in self.subscriptions.values() if item["user_id"] == str(user_id)]
            return {"items": items, "next_cursor": None}

        @app.get("/internal/v1/subscriptions/{subscription_id}")
        async def get(subscription_id: UUID) -> Any:
            if subscription_id not in self.subscriptions:
                raise Refusal(404, "subscription-not-found")
            return self.subscriptions[subscription_id]

        @app.post("/internal/v1/subscriptions/{subscription_id}/abandon")
        async def abandon(subscription_id: UUID, idempotency_key: str | None = Header(None)) -> Any:
            def work() -> tuple[int, Any]:
                subscription = self.subscriptions[subscription_id]
                subscription["status"] = "cancelled"
                self.invoices[UUID(subscription["latest_invoice_id"])]["status"] = "void"
                return 200, {"subscription": subscription}

            return await self.once("abandon", idempotency_key, {}, work)

        @app.post("/internal/v1/subscriptions/{subscription_id}/cancel")
        async def cancel(
            subscription_id: UUID, body: SubscriptionCancelBody, idempotency_key: str | None = Header(None)
        ) -> Any:
            def work() -> tuple[int, Any]:
                subscription = self.subscriptions[subscription_id]
                subscription["cancel_at_period_end"] = body.mode == "period_end"
                if body.mode == "now":
                    subscription["status"] = "cancelled"
                return 200, {"subscription": subscription}

            return await self.once("cancel", idempotency_key, body.model_dump(mode="json"), work)

        @app.post("/internal/v1/subscriptions/{subscription_id}/reactivate")
        async def reactivate(subscription_id: UUID, idempotency_key: str | None = Header(None)) -> Any:
            def work() -> tuple[int, Any]:
                if not self.subscriptions[subscription_id]["cancel_at_period_end"]:
                    raise Refusal(409, "subscription-not-cancelling")
                self.subscriptions[subscription_id]["cancel_at_period_end"] = False
                return 200, {"subscription": self.subscriptions[subscription_id]}

            return await self.once("reactivate", idempotency_key, {}, work)

        @app.post("/internal/v1/subscriptions/{subscription_id}/change-product")
        async def change(
            subscription_id: UUID, body: ChangeBody, idempotency_key: str | None = Header(None)
        ) -> Any:
            return await self.once(
                "preview" if body.preview else "change",
                idempotency_key,
                body.model_dump(mode="json"),
                lambda: self._change(subscription_id, body),
            )

        @app.post("/internal/v1/subscriptions/{subscription_id}/{command}")
        async def command(
            subscription_id: UUID, command: str, idempotency_key: str | None = Header(None)
        ) -> Any:
            def work() -> tuple[int, Any]:
                subscription = self.subscriptions[subscription_id]
                if command == "abandon-change":
                    pending = subscription["pending_change"]
                    self.invoices[UUID(pending["invoice_id"])]["status"] = "void"
                    subscription["pending_change"] = None
                else:
                    subscription["status"] = {"pause": "paused", "resume": "active"}[command]
                return 200, {"subscription": subscription}

            return await self.once(command, idempotency_key, {}, work)

        @app.get("/internal/v1/invoices")
        async def invoices(user_id: UUID, status: str | None = None) -> Any:
            items = [
                item
                for item in self.invoices.values()
                if item["user_id"] == str(user_id) and status in (None, item["status"])
            ]
            return {"items": items, "next_cursor": None}

        @app.get("/internal/v1/invoices/{invoice_id}")
        async def invoice(invoice_id: UUID) -> Any:
            if invoice_id not in self.invoices:
                raise Refusal(404, "invoice-not-found")
            return self.invoices[invoice_id]

        @app.post("/internal/v1/payments/{payment_id}/cancellations")
        async def cancellation(
            payment_id: UUID, body: CancellationBody, idempotency_key: str | None = Header(None)
        ) -> Any:
            def work() -> tuple[int, Any]:
                if body.status in ("processing", "unknown"):
                    raise Refusal(409, "payment-in-progress")
                if body.status not in LIVE:
                    raise Refusal(409, "payment-not-cancellable", rule="already-over")
                captured = body.captured.amount - body.refunded.amount
                return 201, {
                    "cancellation_id": str(new_id()),
                    "payment_id": str(payment_id),
                    "action": "refund" if captured else "void",
                    "amount": Money(captured).as_json(),
                }

            return await self.once("cancellation", idempotency_key, body.model_dump(mode="json"), work)

    def _change(self, subscription_id: UUID, body: ChangeBody) -> tuple[int, Any]:
        """The difference of the prices is due now; a cheaper product waits for the period's end."""
        subscription = self.subscriptions[subscription_id]
        price = self._price(body.product_id)
        due = max(0, price - self.prices[UUID(subscription["product_id"])])
        quote = {"amount_due": Money(due).as_json(), "timing": "now" if due else "at_period_end"}
        if body.preview:
            return 200, {"subscription": subscription, "invoice": None, "quote": quote}
        if body.expected_amount is not None and body.expected_amount.amount != due:
            raise Refusal(409, "price-changed", quote=quote)
        pending = subscription.get("pending_change")
        if pending is not None and pending["product_id"] != str(body.product_id):
            raise Refusal(409, "pending-change-open", invoice_id=pending["invoice_id"])
        if pending is not None:
            invoice = self.invoices[UUID(pending["invoice_id"])]
        else:
            latest = subscription["latest_invoice_id"]
            invoice = self.open_invoice(subscription_id, due, "change") if due else None
            subscription["latest_invoice_id"] = latest
            subscription["pending_change"] = {
                "product_id": str(body.product_id),
                "invoice_id": invoice["id"] if invoice else None,
            }
        return 200, {"subscription": subscription, "invoice": invoice, "quote": quote}

    def _price(self, product_id: UUID) -> int:
        if product_id not in self.prices:
            raise Refusal(404, "product-not-found")
        return self.prices[product_id]

    def _start(self, body: StartBody) -> tuple[int, Any]:
        self.started.append(body)
        price = self._price(body.product_id)
        if body.promo_code == "EXPIRED":
            raise Refusal(422, "promo-code-expired")
        if body.expected_amount is not None and body.expected_amount.amount != price:
            raise Refusal(409, "price-changed", quote={"amount_due": Money(price).as_json()})
        kind = self.kinds.get(body.product_id, "recurring")
        user_id = str(body.customer.user_id)
        for held in self.subscriptions.values():
            if held["user_id"] != user_id or kind != "recurring" or held["kind"] != kind:
                continue
            if held["status"] == "incomplete" and held["product_id"] == str(body.product_id):
                return 200, {
                    "subscription": held,
                    "invoice": self.invoices[UUID(held["latest_invoice_id"])],
                }
            if held["status"] == "incomplete":
                raise Refusal(
                    409,
                    "incomplete-subscription",
                    subscription_id=held["id"],
                    invoice_id=held["latest_invoice_id"],
                )
            if held["status"] not in ("cancelled", "expired"):
                raise Refusal(409, "subscription-exists", subscription_id=held["id"])
        subscription_id = new_id()
        self.subscriptions[subscription_id] = {
            "id": str(subscription_id),
            "user_id": user_id,
            "kind": kind,
            "product_id": str(body.product_id),
            "price_id": str(body.price_id or new_id()),
            "product_group": "main",
            "status": "incomplete" if price else "active",
            "cancel_at_period_end": False,
            "access_until": None,
            "latest_invoice_id": None,
            "created_at": self.clock.now().isoformat(),
        }
        invoice = self.open_invoice(subscription_id, price, "first")
        return 201, {"subscription": self.subscriptions[subscription_id], "invoice": invoice}

    def open_invoice(self, subscription_id: UUID, price: int, kind: str) -> dict[str, Any]:
        invoice_id, subscription = new_id(), self.subscriptions[subscription_id]
        subscription["latest_invoice_id"] = str(invoice_id)
        self.invoices[invoice_id] = {
            "id": str(invoice_id),
            "number": f"2026-{len(self.invoices) + 1:06}",
            "user_id": subscription["user_id"],
            "subscription_id": str(subscription_id),
            "kind": kind,
            "status": "open" if price else "paid",
            "total": Money(price).as_json(),
            "amount_due": Money(price).as_json(),
            "lines": [
                {
                    "id": str(new_id()),
                    "kind": "product",
                    "description": {"ru": "Подписка", "en": "Subscription"},
                    "quantity": 1,
                    "net": Money(price).as_json(),
                    "vat_rate_bp": 2200,
                }
            ],
        }
        return self.invoices[invoice_id]

    def settle(self, subscription_id: UUID) -> Envelope:
        """The payment has come: invoice paid, subscription active for 30 days."""
        subscription = self.subscriptions[subscription_id]
        invoice = self.invoices[UUID(subscription["latest_invoice_id"])]
        invoice |= {"status": "paid", "amount_due": Money(0).as_json()}
        subscription["status"] = "active"
        return self.tell(subscription_id, "subscription.activated", timedelta(days=30))

    def tell(
        self, subscription_id: UUID, event_type: str, access: timedelta | None, **changes: Any
    ) -> Envelope:
        subscription = self.subscriptions[subscription_id] | changes
        now = self.clock.now()
        state = SubscriptionState(
            subscription_id=subscription_id,
            user_id=UUID(subscription["user_id"]),
            kind=subscription["kind"],
            product_id=UUID(subscription["product_id"]),
            price_id=UUID(subscription["price_id"]),
            product_group=subscription["product_group"],
            status=subscription["status"],
            cancel_at_period_end=subscription["cancel_at_period_end"],
            grants_access=changes.get("grants_access", access is not None),
            access_until=now + access if access is not None else None,
            reduced_until=changes.get("reduced_until"),
            created_at=now,
            updated_at=now,
        )
        return self.emit(event_type, subscription_id, state)
