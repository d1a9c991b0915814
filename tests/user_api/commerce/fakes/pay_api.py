"""PayAPI as docs/contracts.md describes it, in memory."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from fastapi import Header, Request

from shared.clock import ManualClock
from shared.ids import new_id
from shared.money import Money
from shared.queue.messages.base import Envelope
from shared.queue.messages.payments import PaymentMethodState, PaymentState
from tests.user_api.commerce.fakes.pay_bodies import (
    AddMethodBody,
    CancelBody,
    PaymentBody,
    RefundBody,
    RefundConfirmation,
    ReviewSettlement,
    TransferConfirmation,
)
from tests.user_api.commerce.fakes.service import FakeService, Refusal

LIVE = {
    "created",
    "processing",
    "action_required",
    "authorized",
    "unknown",
    "succeeded",
    "partially_refunded",
}


class FakePayApi(FakeService):
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

        @app.post("/internal/v1/payments/{payment_id}/review-settlements", status_code=201)
        async def settle_review(
            payment_id: UUID, body: ReviewSettlement, idempotency_key: str | None = Header(None)
        ) -> Any:
            dumped = body.model_dump(mode="json")

            def work() -> tuple[int, Any]:
                payment = self.payments[payment_id]
                if payment["status"] != "needs_review":
                    raise Refusal(409, "review-not-open")
                status = {"paid": "succeeded", "declined": "failed", "voided": "cancelled"}[body.finding]
                taken = body.amount.as_json() if body.amount else payment["amount"]
                payment["status"] = status
                if status == "succeeded":
                    payment["captured"] = taken
                self._tell(payment_id, f"payment.{status}")
                return 201, self.view(payment_id)

            return await self.once("settle_review", idempotency_key, dumped, work)

        @app.post("/v1/customers/{user_id}/erasure")
        async def erase(user_id: UUID, idempotency_key: str | None = Header(None)) -> Any:
            def work() -> tuple[int, Any]:
                for method_id, method in self.methods.items():
                    if method["user_id"] == user_id and method["status"] != "detached":
                        method["status"] = "detached"
                        self._tell_method(method_id, "payment_method.detached")
                return 200, {"user_id": str(user_id), "erased_at": self.clock.now().isoformat()}

            return await self.once("erase", idempotency_key, {}, work)

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
            saved = {"user_id": user_id, "status": "active", "payment_id": body.payment_id}
            self.methods[method_id] = saved
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
        elif payment["status"] in ("succeeded", "partially_refunded") and not body.uncaptured_only:
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
            saved_by_payment_id=method.get("payment_id"),
            created_at=self.clock.now(),
            updated_at=self.clock.now(),
        )
        return self.emit(event_type, method_id, state)
