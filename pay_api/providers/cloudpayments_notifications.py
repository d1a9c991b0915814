"""Verifies and reads the notifications of CloudPayments: HMAC over raw bytes first, parsing after."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, unquote_plus

from pay_api.providers.base import (
    EventKind,
    NotificationMalformed,
    PrintedReceipt,
    ProviderEvent,
    ReceiptKind,
    SignatureInvalid,
)
from pay_api.providers.cloudpayments_answers import card_of, minor_of, refund_id_of, transaction_id_of
from shared.money import EXPONENTS

KINDS: Final = {
    "check": EventKind.CHECK,
    "pay": EventKind.PAID,
    "fail": EventKind.FAILED,
    "confirm": EventKind.CAPTURED,
    "cancel": EventKind.VOIDED,
    "refund": EventKind.REFUNDED,
    "recurrent": EventKind.OTHER,
    "receipt": EventKind.RECEIPT,
}
_MAX_FIELDS: Final = 200
_HELD, _TAKEN = "Authorized", "Completed"
_RUBLES: Final = "RUB"  # 54-FZ knows no other
_RECEIPT_KINDS: Final = {"income": ReceiptKind.INCOME, "incomereturn": ReceiptKind.INCOME_RETURN}


def verify(secret: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raises SignatureInvalid unless the body was signed with the secret. ``headers``: lower-case names.

    ``Content-HMAC`` signs the raw bytes and decides when it is there; ``X-Content-HMAC`` signs the
    URL-decoded text (whether its ``+`` is a space is not documented: both are taken).
    """
    if not secret:
        raise SignatureInvalid("no secret is configured")
    raw = headers.get("content-hmac")
    if raw is not None:
        if not _matches(secret, body, raw):
            raise SignatureInvalid("Content-HMAC")
        return
    decoded = headers.get("x-content-hmac")
    if decoded is None:
        raise SignatureInvalid("no signature")
    text = body.decode("utf-8", "replace")
    candidates = (body, unquote_plus(text).encode(), unquote(text).encode())
    # Every candidate is compared: the time taken says nothing.
    if not sum(_matches(secret, candidate, decoded) for candidate in candidates):
        raise SignatureInvalid("X-Content-HMAC")


def _matches(secret: str, message: bytes, given: str) -> bool:
    digest = hmac.new(secret.encode(), message, hashlib.sha256).digest()
    return hmac.compare_digest(base64.b64encode(digest), given.strip().encode("utf-8", "replace"))


def _fields(content_type: str, body: bytes) -> dict[str, Any]:
    """Lower-case names; empty values are as good as absent."""
    try:
        if "json" in content_type.lower():
            parsed = json.loads(body, parse_float=Decimal)  # an amount is never a float
            if not isinstance(parsed, dict):
                raise NotificationMalformed("not an object")
            pairs = list(parsed.items())
        else:
            pairs = list(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except (ValueError, RecursionError) as error:
        raise NotificationMalformed("unreadable") from error
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name.lower() in fields:
            raise NotificationMalformed("a field given twice")
        if value not in (None, ""):
            fields[name.lower()] = value
    return fields


def read(kind: str, content_type: str, body: bytes) -> ProviderEvent:
    """The neutral event; raises NotificationMalformed."""
    event_kind = KINDS.get(kind.lower())
    if event_kind is None:
        raise NotificationMalformed("unknown type")
    fields = _fields(content_type, body)
    try:
        return _event(event_kind, fields)
    except (ValueError, KeyError, TypeError) as error:
        raise NotificationMalformed(str(error)) from error


def _event(kind: EventKind, fields: dict[str, Any]) -> ProviderEvent:
    if kind is EventKind.RECEIPT:
        return _receipt(fields)
    if kind is EventKind.OTHER:
        return ProviderEvent(kind, str(fields.get("id", "")), str(fields.get("status", "")))
    currency = str(fields.get("currency", "RUB"))
    if currency not in EXPONENTS:
        raise ValueError("unknown currency")
    status = str(fields.get("status", "")) or kind.value
    if kind is EventKind.PAID and status not in (_HELD, _TAKEN):
        raise ValueError(f"unknown status {status}")
    original = fields.get("paymenttransactionid")
    refund_id = refund_id_of(fields.get("data")) if kind is EventKind.REFUNDED else None
    return ProviderEvent(
        kind=kind,
        transaction_id=transaction_id_of(fields["transactionid"]),
        status=status,
        attempt_id=_text(fields.get("invoiceid")),
        account_id=_text(fields.get("accountid")),
        amount_minor=minor_of(fields["amount"], currency) if "amount" in fields else None,
        currency=currency if "currency" in fields else None,
        held=status == _HELD,
        original_transaction_id=transaction_id_of(original) if original is not None else None,
        refund_id=str(refund_id) if refund_id else None,
        reason_code=int(fields["reasoncode"]) if "reasoncode" in fields else None,
        test_mode=str(fields.get("testmode", "")).lower() in ("1", "true"),
        card=card_of(
            fields.get("cardfirstsix"),
            fields.get("cardlastfour"),
            fields.get("cardexpdate"),
            fields.get("cardtype"),
        ),
        token=_text(fields.get("token")),
    )


def _receipt(fields: dict[str, Any]) -> ProviderEvent:
    receipt_id = str(fields["id"])
    kind = _RECEIPT_KINDS.get(str(fields["type"]).lower())
    if kind is None:  # of the seller's own spending, which is none of ours
        return ProviderEvent(EventKind.OTHER, receipt_id, str(fields["type"]))
    transaction = fields.get("transactionid")
    return ProviderEvent(
        kind=EventKind.RECEIPT,
        transaction_id=transaction_id_of(transaction) if transaction is not None else "",
        status=receipt_id,
        attempt_id=_text(fields.get("invoiceid")),
        account_id=_text(fields.get("accountid")),
        amount_minor=minor_of(fields["amount"], _RUBLES),
        currency=_RUBLES,
        receipt=PrintedReceipt(
            receipt_id,
            kind,
            str(fields["documentnumber"]),
            str(fields["fiscalsign"]),
            str(fields["devicenumber"]),
            _web_address(fields.get("url")),
            datetime.fromisoformat(str(fields["datetime"])).replace(tzinfo=UTC),
        ),
    )


def _web_address(value: Any) -> str | None:
    """A link people may be shown; None for anything else."""
    text = str(value or "")
    return text if re.fullmatch(r"https?://[^\s\"'<>\\]{1,1000}", text) else None


def _text(value: Any) -> str | None:
    return str(value) if value is not None else None
