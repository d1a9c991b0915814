"""Examples of PayAPI's bodies, as its OpenAPI shows them."""

from __future__ import annotations

from typing import Any, Final

_USER: Final = "0198c5a0-0000-7000-8000-000000000001"
_INVOICE: Final = "0198c5a0-0000-7000-8000-000000000002"
_PAYMENT: Final = "0198c5a0-0000-7000-8000-000000000003"
_METHOD: Final = "0198c5a0-0000-7000-8000-000000000004"
_ORDER: Final = "0198c5a0-0000-7000-8000-000000000005"
_PRICE: Final = {"amount": 49900, "currency": "RUB"}
_NOTHING: Final = {"amount": 0, "currency": "RUB"}
_PAYER: Final = {"email": "viewer@example.com", "ip": "203.0.113.7", "locale": "ru"}
_PACKET: Final = "eyJUeXBlIjoiQ2xvdWRDYXJkIiwiQ2FyZEluZm8iOnt9LCJWYWx1ZSI6IiJ9"

_START: Final[dict[str, Any]] = {
    "payment_id": _PAYMENT,
    "invoice_id": _INVOICE,
    "user_id": _USER,
    "amount": _PRICE,
    "description": "Подписка «Премиум», счёт C-2026-000001",
    "initiator": "customer",
    "method": {"kind": "hosted", "save_method": True},
    "payer": _PAYER,
    "return_url": "https://cinema.example/account",
    "receipt": {
        "lines": [{"label": "Подписка «Премиум»", "quantity": 1, "amount": _PRICE, "vat_rate_bp": 2200}]
    },
}
START: Final = [
    _START,
    {**_START, "method": {"kind": "card_cryptogram", "card_cryptogram": _PACKET, "save_method": False}},
    {
        **_START,
        "initiator": "merchant",
        "method": {"kind": "saved_method", "payment_method_id": _METHOD},
    },
    {**_START, "provider": "bank_transfer", "method": {"kind": "bank_transfer"}},
]
CANCEL: Final = [{"cancellation_id": _ORDER, "reason": "within 14 days"}]
REFUND: Final = [
    {"refund_order_id": _ORDER, "amount": {"amount": 10000, "currency": "RUB"}, "reason": "unused days"}
]
CAPTURE: Final = [{}, {"amount": {"amount": 30000, "currency": "RUB"}}]
ATTEMPT: Final = [{"card_cryptogram": _PACKET, "cardholder_name": "IVAN PETROV", "save_method": True}]
ADD_METHOD: Final = [{"payment_id": _PAYMENT, "card_cryptogram": _PACKET, "payer": _PAYER}]
CONFIRMATION: Final = [
    {
        "confirmation_id": _ORDER,
        "amount": _PRICE,
        "reason": "statement of 12 May, line 4",
        "actor": "accountant@cinema.example",
    }
]
REFUND_CONFIRMATION: Final = [
    {"refund_id": _ORDER, "reason": "payment order 118 of 14 May", "actor": "accountant@cinema.example"},
    {
        "refund_id": _ORDER,
        "finding": "not_sent",
        "reason": "the cabinet shows no such refund",
        "actor": "accountant@cinema.example",
    },
]
REVIEW_SETTLEMENT: Final = [
    {
        "finding": "paid",
        "transaction_id": "1234567",
        "reason": "the cabinet shows it completed",
        "actor": "accountant@cinema.example",
    }
]
PAYMENT: Final[list[dict[str, Any]]] = [
    {
        "id": _PAYMENT,
        "invoice_id": _INVOICE,
        "user_id": _USER,
        "purpose": "invoice",
        "initiator": "customer",
        "provider": "cloudpayments",
        "status": "succeeded",
        "amount": _PRICE,
        "captured": _PRICE,
        "refunded": _NOTHING,
        "settles_invoice": True,
        "late": False,
        "review_reason": None,
        "payment_method_id": _METHOD,
        "card_mask": "4242 42** **** 4242",
        "next_action": None,
        "decline": None,
        "refunds": [],
        "receipts": [
            {
                "kind": "income",
                "amount": _PRICE,
                "status": "issued",
                "refund_id": None,
                "issued_amount": _PRICE,
                "url": "https://ofd.example/rec/1",
                "issued_at": "2026-05-12T09:30:02Z",
            }
        ],
        "second_charge_of": None,
        "second_charges": [],
        "events_url": f"https://cinema.example/pay-api/v1/payments/{_PAYMENT}/events?token=…",
        "created_at": "2026-05-12T09:30:00Z",
        "updated_at": "2026-05-12T09:30:01Z",
    }
]
