"""PayAPI and BillingAPI as docs/contracts.md describes them, in memory, with faults to order."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from shared.clock import ManualClock
from shared.ids import new_id
from shared.money import Money
from shared.queue.messages.base import Envelope, EventState
from shared.queue.messages.invoices import SubscriptionState
from shared.queue.messages.payments import PaymentMethodState, PaymentState
from shared.queue.outbox import build_envelope

LIVE = {
    "created",
    "processing",
    "action_required",
    "authorized",
    "unknown",
    "succeeded",
    "partially_refunded",
}


class Refusal(Exception):
    def __init__(self, status: int, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.status, self.code, self.extra = status, code, extra


class Crash(Exception):
    """The process dies: the caller never learns what was done."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Service:
    """Idempotency, faults, events and the log of calls that both fakes share."""

    source = ""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.calls: list[tuple[str, Any]] = []
        self.bodies: list[bytes] = []
        self.faults: dict[tuple[str, str], int] = {}
        self.hold: dict[str, asyncio.Event] = {}
        self.reached = asyncio.Event()  # a held call has come
        self.events: list[Envelope] = []
        self._answers: dict[tuple[str, str], tuple[str, int, Any]] = {}
        self._sequences: dict[UUID, int] = {}
        self.app = FastAPI()
        self.app.add_exception_handler(Refusal, self._on_refusal)
        self.app.add_exception_handler(RequestValidationError, self._on_invalid)
        self.routes()

    def routes(self) -> None:
        raise AssertionError

    async def _on_refusal(self, _: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refusal)
        body = {"type": f"/problems/{error.code}", "status": error.status, "detail": "no", **error.extra}
        return JSONResponse(body, error.status, media_type="application/problem+json")

    async def _on_invalid(self, _: Request, error: Exception) -> JSONResponse:
        raise AssertionError(f"a body the contract does not know: {error}")

    def crash(self, operation: str, when: Literal["before", "after"], times: int = 1) -> None:
        self.faults[operation, when] = times

    def _fault(self, operation: str, when: str) -> None:
        if self.faults.get((operation, when), 0) > 0:
            self.faults[operation, when] -= 1
            raise Crash(f"{operation} {when}")

    def count(self, operation: str) -> int:
        return sum(1 for name, _ in self.calls if name == operation)

    async def once(
        self, operation: str, key: str | None, body: Any, work: Callable[[], tuple[int, Any]]
    ) -> JSONResponse:
        assert key, f"{operation} needs an Idempotency-Key"
        self.calls.append((operation, body))
        fingerprint = hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
        known = self._answers.get((operation, key))
        if known is not None:
            if known[0] != fingerprint:
                raise Refusal(422, "idempotency-key-reused")
            return JSONResponse(known[2], known[1])
        self._fault(operation, "before")
        if operation in self.hold:
            self.reached.set()
            await self.hold[operation].wait()
        status, answer = work()
        self._answers[operation, key] = (fingerprint, status, answer)
        self._fault(operation, "after")
        return JSONResponse(answer, status)

    def emit(self, event_type: str, aggregate_id: UUID, state: EventState) -> Envelope:
        sequence = self._sequences[aggregate_id] = self._sequences.get(aggregate_id, 0) + 1
        now = self.clock.now()
        envelope = build_envelope(self.source, event_type, aggregate_id, sequence, state, now)
        self.events.append(envelope)
        return envelope


class CancelBody(Strict):
    cancellation_id: UUID
    amount: Money | None = None
    reason: str


class RefundBody(Strict):
    refund_order_id: UUID
    amount: Money
    reason: str


class Method(Strict):
    kind: Literal["card_cryptogram", "saved_method", "hosted", "bank_transfer"]
    card_cryptogram: str | None = None
    cardholder_name: str | None = None
    save_method: bool | None = None
    payment_method_id: UUID | None = None


class Payer(Strict):
    email: str | None = None
    ip: str | None = None
    locale: str


class ReceiptLine(Strict):
    label: str
    quantity: int
    amount: Money
    vat_rate_bp: int


class Receipt(Strict):
    lines: list[ReceiptLine]


class PaymentBody(Strict):
    payment_id: UUID
    invoice_id: UUID
    user_id: UUID
    amount: Money
    description: str
    initiator: Literal["customer", "merchant"]
    method: Method
    provider: Literal["cloudpayments", "bank_transfer"] = "cloudpayments"
    payer: Payer
    return_url: str | None = None
    receipt: Receipt


class TransferConfirmation(Strict):
    confirmation_id: UUID
    amount: Money
    reason: str
    actor: str


class RefundConfirmation(Strict):
    refund_id: UUID
    reason: str
    actor: str


class AddMethodBody(Strict):
    payment_id: UUID
    card_cryptogram: str
    cardholder_name: str | None = None
    payer: Payer
    return_url: str | None = None


class FakePayApi(_Service):
    """Cryptograms say what becomes of them: ``declined…`` and ``challenge…``; any other succeeds."""

    source = "pay-api"

    def __init__(self, clock: ManualClock) -> None:
        self.payments: dict[UUID, dict[str, Any]] = {}
        self.methods: dict[UUID, dict[str, Any]] = {}
        self.closed: set[UUID] = set()
        self.charges: list[UUID] = []
        super().__init__(clock)

    def routes(self) -> None:
        app = self.app

        @app.post("/v1/payments")
        async def start(
            body: PaymentBody, request: Request, idempotency_key: str | None = Header(None)
        ) -> Any:
            self.bodies.append(await request.body())
            assert idempotency_key == str(body.payment_id)
            assert sum(line.amount.amount for line in body.receipt.lines) == body.amount.amount
            dumped = body.model_dump(mode="json")
            return await self.once("start", idempotency_key, dumped, lambda: self._start(body))

        @app.get("/v1/payments")
        async def listed(user_id: UUID | None = None, invoice_id: UUID | None = None) -> Any:
            items = [
                self.view(payment_id)
                for payment_id, payment in self.payments.items()
                if user_id in (None, UUID(payment["user_id"]))
                and invoice_id in (None, UUID(payment["invoice_id"]))
            ]
            return {"items": items, "next_cursor": None}

        @app.get("/v1/payments/{payment_id}")
        async def get(payment_id: UUID) -> Any:
            self.calls.append(("get", payment_id))
            return self.view(payment_id)

        @app.post("/v1/payments/{payment_id}/cancel")
        async def cancel(
            payment_id: UUID, body: CancelBody, idempotency_key: str | None = Header(None)
        ) -> Any:
            assert idempotency_key == str(body.cancellation_id)
            dumped = body.model_dump(mode="json")
            return await self.once("cancel", idempotency_key, dumped, lambda: self._cancel(payment_id, body))

        @app.post("/v1/payments/{payment_id}/refunds")
        async def refund(
            payment_id: UUID, body: RefundBody, idempotency_key: str | None = Header(None)
        ) -> Any:
            assert idempotency_key == str(body.refund_order_id)

            def work() -> tuple[int, Any]:
                self._refund(payment_id, body.amount.amount)
                return 201, self.view(payment_id)

            return await self.once("refund", idempotency_key, body.model_dump(mode="json"), work)

        @app.post("/v1/invoices/{invoice_id}/close")
        async def close(invoice_id: UUID, idempotency_key: str | None = Header(None)) -> Any:
            return await self.once("close", idempotency_key, {}, lambda: self._close(invoice_id))

        @app.delete("/v1/customers/{user_id}/payment-methods/{method_id}", status_code=204)
        async def detach(user_id: UUID, method_id: UUID) -> None:
            self.calls.append(("detach", method_id))
            self._fault("detach", "before")
            method = self.methods.get(method_id)
            if method is None or method["user_id"] != user_id:
                raise Refusal(404, "payment-method-not-found")
            method["status"] = "detached"
            self._tell_method(method_id, "payment_method.detached")

        @app.post("/v1/customers/{user_id}/payment-methods", status_code=201)
        async def add_method(
            user_id: UUID, body: AddMethodBody, idempotency_key: str | None = Header(None)
        ) -> Any:
            assert idempotency_key == str(body.payment_id)
            dumped = body.model_dump(mode="json")
            return await self.once("add", idempotency_key, dumped, lambda: self._add(user_id, body))

        @app.post("/internal/v1/payments/{payment_id}/transfer-confirmations", status_code=201)
        async def confirm_transfer(
            payment_id: UUID, body: TransferConfirmation, idempotency_key: str | None = Header(None)
        ) -> Any:
            assert idempotency_key == str(body.confirmation_id)
            dumped = body.model_dump(mode="json")

            def work() -> tuple[int, Any]:
                payment = self.payments[payment_id]
                if payment["provider"] != "bank_transfer" or payment["status"] != "action_required":
                    raise Refusal(409, "transfer-not-awaited")
                payment |= {
                    "status": "succeeded",
                    "captured": body.amount.as_json(),
                    "settles_invoice": body.amount.as_json() == payment["amount"],
                    "next_action": None,
                }
                self._tell(payment_id, "payment.succeeded")
                return 201, self.view(payment_id)

            return await self.once("confirm_transfer", idempotency_key, dumped, work)

        @app.post("/internal/v1/payments/{payment_id}/refund-confirmations", status_code=201)
        async def confirm_refund(
            payment_id: UUID, body: RefundConfirmation, idempotency_key: str | None = Header(None)
        ) -> Any:
            dumped = body.model_dump(mode="json")

            def work() -> tuple[int, Any]:
                if payment_id not in self.payments:
                    raise Refusal(404, "payment-not-found")
                raise Refusal(409, "refund-not-awaited")

            return await self.once("confirm_refund", idempotency_key, dumped, work)

    def _add(self, user_id: UUID, body: AddMethodBody) -> tuple[int, Any]:
        """A hold of 1.00 that has been given back; the card is saved unless it is declined."""
        method_id, now = new_id(), self.clock.now().isoformat()
        declined = body.card_cryptogram.startswith("declined")
        self.payments[body.payment_id] = {
            "id": str(body.payment_id),
            "invoice_id": None,
            "user_id": str(user_id),
            "purpose": "method_verification",
            "initiator": "customer",
            "provider": "cloudpayments",
            "status": "failed" if declined else "cancelled",
            "amount": Money(100).as_json(),
            "captured": Money(0).as_json(),
            "refunded": Money(0).as_json(),
            "settles_invoice": True,
            "late": False,
            "payment_method_id": None if declined else str(method_id),
            "card_mask": "4242 42** **** 4242",
            "next_action": None,
            "decline": {"class": "soft", "code": "insufficient-funds", "message": "no"} if declined else None,
            "refunds": [],
            "events_url": "https://cinema.test/events",
            "created_at": now,
            "updated_at": now,
        }
        if not declined:
            self.methods[method_id] = {"user_id": user_id, "status": "active"}
            self._tell_method(method_id, "payment_method.saved")
        return 201, self.view(body.payment_id)

    def of_invoice(self, invoice_id: UUID) -> list[dict[str, Any]]:
        return [payment for payment in self.payments.values() if payment["invoice_id"] == str(invoice_id)]

    def _start(self, body: PaymentBody) -> tuple[int, Any]:
        live = [p for p in self.of_invoice(body.invoice_id) if p["status"] in LIVE]
        if live:
            raise Refusal(409, "payment-in-progress", payment_id=live[0]["id"])
        if body.invoice_id in self.closed:
            raise Refusal(409, "invoice-closed")
        method_id = body.method.payment_method_id
        if body.method.kind == "saved_method":
            method = self.methods.get(method_id) if method_id else None
            if method is None or method["status"] != "active" or method["user_id"] != body.user_id:
                raise Refusal(422, "payment-method-unusable")
        cryptogram = body.method.card_cryptogram or ""
        if cryptogram == "garbage":
            raise Refusal(422, "cryptogram-invalid")
        now = self.clock.now().isoformat()
        self.payments[body.payment_id] = {
            "id": str(body.payment_id),
            "invoice_id": str(body.invoice_id),
            "user_id": str(body.user_id),
            "purpose": "invoice",
            "initiator": body.initiator,
            "provider": body.provider,
            "status": "created",
            "amount": body.amount.as_json(),
            "captured": Money(0).as_json(),
            "refunded": Money(0).as_json(),
            "settles_invoice": True,
            "late": False,
            "payment_method_id": str(method_id) if method_id else None,
            "card_mask": None,
            "next_action": None,
            "decline": None,
            "refunds": [],
            "events_url": f"https://cinema.test/pay-api/v1/payments/{body.payment_id}/events",
            "created_at": now,
            "updated_at": now,
            "save": bool(body.method.save_method),
        }
        self._tell(body.payment_id, "payment.created")
        if body.initiator == "merchant":
            return 202, self.view(body.payment_id)
        if body.method.kind == "bank_transfer":
            if body.provider != "bank_transfer":
                raise Refusal(422, "method-not-offered")
            payment = self.payments[body.payment_id]
            payment["status"] = "action_required"
            details = {"account": "40702810900000000001", "code": body.payment_id.hex[-8:].upper()}
            payment["next_action"] = {"kind": "instructions", "instructions": details, "expires_at": now}
            self._tell(body.payment_id, "payment.action_required")
        elif cryptogram.startswith("declined"):
            self.fail(body.payment_id)
        elif cryptogram.startswith("challenge") or body.method.kind == "hosted":
            payment = self.payments[body.payment_id]
            payment["status"] = "action_required"
            step = "3ds" if cryptogram else "checkout"
            payment["next_action"] = {"kind": "redirect", "step": step, "url": f"https://cinema.test/{step}"}
            self._tell(body.payment_id, "payment.action_required")
        else:
            self.succeed(body.payment_id)
        return 201, self.view(body.payment_id)

    def succeed(self, payment_id: UUID) -> Envelope:
        payment = self.payments[payment_id]
        if payment["save"]:
            method_id = new_id()
            user_id = UUID(payment["user_id"])
            self.methods[method_id] = {"user_id": user_id, "status": "active", "payment_id": payment_id}
            payment["payment_method_id"] = str(method_id)
            self._tell_method(method_id, "payment_method.saved")
        payment |= {
            "status": "succeeded",
            "captured": payment["amount"],
            "card_mask": "4242 42** **** 4242",
            "next_action": None,
        }
        self.charges.append(payment_id)
        return self._tell(payment_id, "payment.succeeded")

    def fail(self, payment_id: UUID) -> Envelope:
        decline = {"class": "soft", "code": "insufficient-funds", "message": "Недостаточно средств на карте."}
        self.payments[payment_id] |= {"status": "failed", "decline": decline, "next_action": None}
        return self._tell(payment_id, "payment.failed")

    def _refund(self, payment_id: UUID, amount: int) -> None:
        payment = self.payments[payment_id]
        refunded = payment["refunded"]["amount"] + amount
        if refunded > payment["captured"]["amount"]:
            raise Refusal(409, "payment-not-cancellable")
        whole = refunded == payment["captured"]["amount"]
        payment["refunded"] = Money(refunded).as_json()
        payment["status"] = "refunded" if whole else "partially_refunded"
        self._tell(payment_id, "payment.refunded")
        if whole:
            self._tell(payment_id, "payment.cancelled")

    def _cancel(self, payment_id: UUID, body: CancelBody) -> tuple[int, Any]:
        payment = self.payments.get(payment_id)
        if payment is None:
            raise Refusal(404, "payment-not-found")
        if payment["status"] in ("processing", "unknown"):
            raise Refusal(409, "payment-in-progress")
        if payment["status"] in ("created", "action_required", "authorized"):
            payment |= {"status": "cancelled", "next_action": None}
            self._tell(payment_id, "payment.cancelled")
        elif payment["status"] in ("succeeded", "partially_refunded"):
            rest = payment["captured"]["amount"] - payment["refunded"]["amount"]
            self._refund(payment_id, body.amount.amount if body.amount else rest)
        else:
            raise Refusal(409, "payment-not-cancellable")
        return 200, self.view(payment_id)

    def _close(self, invoice_id: UUID) -> tuple[int, Any]:
        statuses = {payment["status"] for payment in self.of_invoice(invoice_id)}
        if statuses & {"succeeded", "partially_refunded"}:
            result = "paid"
        elif statuses & {"processing", "unknown"}:
            result = "in_flight"
        else:
            result = "closed"
            self.closed.add(invoice_id)
            for payment in self.of_invoice(invoice_id):
                if payment["status"] in ("created", "action_required", "authorized"):
                    payment |= {"status": "cancelled", "next_action": None}
                    self._tell(UUID(payment["id"]), "payment.cancelled")
        return 200, {"invoice_id": str(invoice_id), "result": result}

    def view(self, payment_id: UUID) -> dict[str, Any]:
        if payment_id not in self.payments:
            raise Refusal(404, "payment-not-found")
        return {name: value for name, value in self.payments[payment_id].items() if name != "save"}

    def state(self, payment_id: UUID) -> PaymentState:
        payment = self.payments[payment_id]
        decline = payment["decline"]
        given = payment | {"payment_id": payment_id, "refunds": []}
        if decline:
            given["decline"] = {"decline_class": decline["class"]} | decline
        return PaymentState.model_validate_json(json.dumps(given, default=str))

    def _tell(self, payment_id: UUID, event_type: str) -> Envelope:
        self.payments[payment_id]["updated_at"] = self.clock.now().isoformat()
        return self.emit(event_type, payment_id, self.state(payment_id))

    def _tell_method(self, method_id: UUID, event_type: str) -> Envelope:
        method = self.methods[method_id]
        state = PaymentMethodState(
            payment_method_id=method_id,
            user_id=method["user_id"],
            provider="cloudpayments",
            status=method["status"],
            card_mask="4242 42** **** 4242",
            card_brand="visa",
            expires_month=12,
            expires_year=2030,
            fingerprint="f",
            created_at=self.clock.now(),
            updated_at=self.clock.now(),
        )
        return self.emit(event_type, method_id, state)


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


class FakeBillingApi(_Service):
    """``prices`` says what a product costs (minor units); all recurring ones are of one group."""

    source = "billing-api"

    def __init__(self, clock: ManualClock) -> None:
        self.prices: dict[UUID, int] = {}
        self.kinds: dict[UUID, str] = {}
        self.subscriptions: dict[UUID, dict[str, Any]] = {}
        self.invoices: dict[UUID, dict[str, Any]] = {}
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
        async def invoices(user_id: UUID, status: str) -> Any:
            items = [
                item
                for item in self.invoices.values()
                if item["user_id"] == str(user_id) and item["status"] == status
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
            created_at=now,
            updated_at=now,
        )
        return self.emit(event_type, subscription_id, state)


Deliver = Callable[[], Awaitable[None]]
