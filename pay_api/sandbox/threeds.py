"""3-D Secure: the merchant's challenge and the word of the issuer's page (protocol 1.4)."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pay_api.sandbox.signature import hmac_base64
from pay_api.sandbox.transaction import Transaction
from shared.money import minor_to_decimal_text

_PAREQ_PREFIX: Final = "+/"


class Verdict(StrEnum):
    """What the payer answered on the issuer's page."""

    CONFIRMED = "Y"
    REJECTED = "N"


@dataclass(frozen=True, slots=True)
class PaReq:
    """What the issuer's page shows; amounts as decimal text."""

    merchant_name: str
    first_six: str
    last_four: str
    amount: str
    currency: str
    date: str
    culture_name: str


def challenge(transaction: Transaction, acs_url: str, merchant_name: str) -> dict[str, Any]:
    """The Model of an answer that asks for 3-D Secure."""
    question = {
        "MerchantName": merchant_name,
        "FirstSix": transaction.card_first_six,
        "LastFour": transaction.card_last_four,
        "Amount": minor_to_decimal_text(transaction.amount_minor, transaction.currency),
        "CurrencyCode": transaction.currency,
        "Date": transaction.created_at.strftime("%Y-%m-%dT%H:%M:%S"),
        "CustomerName": transaction.name,
        "CultureName": transaction.culture_name,
    }
    encoded = base64.b64encode(json.dumps(question, ensure_ascii=False).encode()).decode()
    return {
        "TransactionId": transaction.id,
        "PaReq": _PAREQ_PREFIX + encoded,
        "GoReq": None,
        "AcsUrl": acs_url,
        "ThreeDsSessionData": None,
        "IFrameIsAllowed": True,
        "FrameWidth": None,
        "FrameHeight": None,
        "ThreeDsCallbackId": secrets.token_hex(16),
        "EscrowAccumulationId": None,
    }


def read_pareq(text: str) -> PaReq:
    """Raises ValueError for anything that is not a PaReq of ours."""
    try:
        body: Any = json.loads(base64.b64decode(text.removeprefix(_PAREQ_PREFIX), validate=True))
        return PaReq(
            merchant_name=str(body["MerchantName"]),
            first_six=str(body["FirstSix"]),
            last_four=str(body["LastFour"]),
            amount=str(body["Amount"]),
            currency=str(body["CurrencyCode"]),
            date=str(body["Date"]),
            culture_name=str(body["CultureName"]),
        )
    except (binascii.Error, KeyError, TypeError) as error:
        raise ValueError("not a PaReq") from error


def make_pares(transaction_id: int, verdict: Verdict, secret: str) -> str:
    """What the page sends back; nobody else can say it for another payment."""
    signed = {"TransactionId": transaction_id, "Result": verdict.value}
    mac = hmac_base64(secret, f"pares:{transaction_id}:{verdict.value}".encode())
    return base64.b64encode(json.dumps(signed | {"Mac": mac}).encode()).decode()


def is_confirmed(pares: str, transaction_id: int, secret: str) -> bool:
    """Whether a PaRes is genuine, of this transaction, and says that the payer confirmed."""
    expected = make_pares(transaction_id, Verdict.CONFIRMED, secret)
    return hmac.compare_digest(pares.strip().encode(), expected.encode())
