"""Reads what CloudPayments answers, strictly: what is not recognised is Unknown, never paid or declined."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pay_api.pay_service.declines import reason_of
from pay_api.providers.base import (
    ActionRequired,
    Authorized,
    AwaitingPayer,
    Card,
    CardKey,
    ChargeOutcome,
    Declined,
    Done,
    NotFound,
    OperationOutcome,
    QueryOutcome,
    RefundFound,
    Refused,
    Succeeded,
    Unknown,
    Voided,
)
from shared.money import EXPONENTS, decimal_text_to_minor

_NOT_FOUND: Final = ("not found", "transaction not found")
_PAYMENT_TYPE, _REFUND_TYPE = 0, 1
_MIN_KEY_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """The provider took the request for malformed and executed nothing."""

    message: str


def minor_of(value: Any, currency: str) -> int:
    """Minor units of an amount of an answer (int or Decimal); raises ValueError for anything else."""
    if type(value) is int or isinstance(value, (Decimal, str)):
        return decimal_text_to_minor(str(value), currency)
    raise ValueError("not an amount")


def card_of(first_six: Any, last_four: Any, expires: Any, brand: Any) -> Card | None:
    """Masked card data, or None when a part is missing."""
    month, _, year = str(expires or "").partition("/")
    if not (month.isdigit() and year.isdigit() and 1 <= int(month) <= 12 and len(year) == 2):
        return None
    if not (str(first_six or "").isdigit() and str(last_four or "").isdigit()):
        return None
    return Card(str(first_six), str(last_four), str(brand or "card"), int(month), 2000 + int(year))


def transaction_id_of(value: Any) -> str:
    """Raises ValueError unless it is a positive number."""
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or int(text) <= 0:
        raise ValueError("not a transaction id")
    return text


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _refusal(body: dict[str, Any]) -> RequestRefused | None:
    message = body.get("Message")
    if body.get("Success") is False and "Model" not in body and isinstance(message, str) and message:
        return RequestRefused(message)
    return None


def _transaction(model: dict[str, Any]) -> QueryOutcome:
    """The state a transaction model tells of; raises ValueError when a part of it cannot be read."""
    transaction_id = transaction_id_of(model.get("TransactionId"))
    status, code = model.get("Status"), model.get("ReasonCode")
    if model.get("Type", _PAYMENT_TYPE) != _PAYMENT_TYPE:
        raise ValueError("not a payment")
    card = card_of(
        model.get("CardFirstSix"), model.get("CardLastFour"), model.get("CardExpDate"), model.get("CardType")
    )
    if status == "Declined":
        if type(code) is not int:
            raise ValueError("a decline without a reason code")
        reason = reason_of(code)
        if reason is None:
            raise ValueError(f"unknown reason code {code}")
        return Declined(reason, code, transaction_id, card)
    if status == "Cancelled":
        return Voided(transaction_id)
    if status == "AwaitingAuthentication":
        return AwaitingPayer(transaction_id)
    if status not in ("Completed", "Authorized"):
        raise ValueError(f"unknown status {status!r}")
    if type(code) is not int or code != 0:
        raise ValueError("approved with a reason code")
    currency = model.get("Currency")
    if currency not in EXPONENTS:
        raise ValueError("unknown currency")
    kind = Succeeded if status == "Completed" else Authorized
    return kind(
        transaction_id,
        minor_of(model.get("Amount"), currency),
        currency,
        _text(model.get("AccountId")),
        model.get("TestMode") is True,
        card,
        _text(model.get("Token")),
    )


def _challenge(model: dict[str, Any]) -> ActionRequired:
    acs_url, pa_req = model.get("AcsUrl"), model.get("PaReq")
    if not isinstance(acs_url, str) or not isinstance(pa_req, str) or not pa_req:
        raise ValueError("an incomplete challenge")
    address = urlsplit(acs_url)
    if address.scheme not in ("https", "http") or not address.hostname or set(acs_url) & set(" ;,'\"\\"):
        raise ValueError("the bank's address is no web address")
    return ActionRequired(transaction_id_of(model.get("TransactionId")), acs_url, pa_req)


def read_charge(body: dict[str, Any]) -> ChargeOutcome | RequestRefused:
    """The answer to charge, auth and post3ds."""
    if refused := _refusal(body):
        return refused
    model = body.get("Model")
    if not isinstance(model, dict):
        return Unknown("no Model")
    try:
        if "AcsUrl" in model and "ReasonCode" not in model and body.get("Success") is False:
            return _challenge(model)
        outcome = _transaction(model)
    except ValueError as error:
        return Unknown(str(error))
    approved = isinstance(outcome, (Succeeded, Authorized))
    if isinstance(outcome, (Voided, AwaitingPayer, NotFound, Unknown)) or body.get("Success") is not approved:
        return Unknown("Success and Status disagree")
    return outcome


def read_query(body: dict[str, Any], attempt_id: str) -> QueryOutcome:
    """The answer to get and find: Success may be false beside a Model, which alone is looked at."""
    if refused := _refusal(body):
        known = refused.message.strip().lower() in _NOT_FOUND
        return NotFound() if known else Unknown(f"refused: {refused.message}")
    model = body.get("Model")
    if not isinstance(model, dict):
        return Unknown("no Model")
    if model.get("InvoiceId") != attempt_id:
        return Unknown("an answer about another invoice")
    try:
        return _transaction(model)
    except ValueError as error:
        return Unknown(str(error))


def read_operation(body: dict[str, Any], *, gives_transaction: bool) -> OperationOutcome:
    """The answer to confirm, void and refund."""
    if refused := _refusal(body):
        return Refused(refused.message)
    if body.get("Success") is not True:
        return Unknown("no success and no reason")
    if not gives_transaction:
        return Done()
    model = body.get("Model")
    try:
        return Done(transaction_id_of(model.get("TransactionId") if isinstance(model, dict) else None))
    except ValueError:
        return Unknown("a refund without its transaction")


def read_list(body: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Rows of a list; None for anything that is not a list of objects."""
    rows = body.get("Model")
    if body.get("Success") is not True or not isinstance(rows, list):
        return None
    return rows if all(isinstance(row, dict) for row in rows) else None


def read_refund(row: dict[str, Any], original_transaction_id: str) -> RefundFound | None:
    """A completed refund of that transaction; None for any other row."""
    if row.get("Type") != _REFUND_TYPE or str(row.get("OriginalTransactionId")) != original_transaction_id:
        return None
    if row.get("Status") != "Completed" or row.get("Currency") not in EXPONENTS:
        return None
    try:
        return RefundFound(
            transaction_id_of(row.get("TransactionId")),
            original_transaction_id,
            minor_of(row.get("Amount"), row["Currency"]),
            refund_id_of(row.get("JsonData")),
        )
    except ValueError:
        return None


def refund_id_of(data: Any) -> UUID | None:
    """Our refund's id out of the JSON we gave with it."""
    try:
        parsed = json.loads(data) if isinstance(data, str) else data
        return UUID(parsed["refund_id"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def read_card_key(body: dict[str, Any], terminal_id: str) -> CardKey | None:
    """The answer of ``payments/publickey``; None unless it is an RSA key of at least 2048 bits."""
    try:
        key = serialization.load_pem_public_key(str(body["Pem"]).encode())
        version = str(int(body["Version"]))
    except (KeyError, TypeError, ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _MIN_KEY_BITS:
        return None
    numbers = key.public_numbers()
    return CardKey(
        f"{numbers.n:x}", f"{numbers.e:x}", version.zfill(len(version) + len(version) % 2), terminal_id
    )
