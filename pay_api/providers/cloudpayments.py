"""CloudPayments: stateless translation between PayService's neutral types and the provider's protocol."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from pay_api.pay_service.declines import CARD_DATA_REFUSED, PROVIDER_REFUSED
from pay_api.providers import cloudpayments_answers as answers
from pay_api.providers import cloudpayments_notifications as notifications
from pay_api.providers.base import (
    CardKey,
    Charge,
    ChargeOutcome,
    CheckAnswer,
    Declined,
    MethodKind,
    NotExecuted,
    OperationOutcome,
    ProviderEvent,
    QueryOutcome,
    Receipt,
    RefundFound,
    RegisterRow,
    Unknown,
)
from pay_api.providers.cloudpayments_amounts import amount_of, encode
from pay_api.providers.cloudpayments_http import Answered, Transport
from pay_api.providers.cloudpayments_receipt import customer_receipt
from pay_api.providers.cloudpayments_register import read_row
from pay_api.settings import Settings
from shared import logs

_LEGACY_CRYPTOGRAM: Final = re.compile(r"0[12]\d{6}\d{4}\d{4}\d{2}[A-Za-z0-9+/]{300,700}={0,2}")
_MAX_CRYPTOGRAM: Final = 8192
_CULTURES: Final = {"ru": "ru-RU", "en": "en-US"}
_CHECK_CODES: Final = {
    CheckAnswer.GO: 0,
    CheckAnswer.UNKNOWN_ATTEMPT: 10,
    CheckAnswer.WRONG_ACCOUNT: 11,
    CheckAnswer.WRONG_AMOUNT: 12,
    CheckAnswer.NOT_ACCEPTED: 13,
    CheckAnswer.EXPIRED: 20,
}
_NO_IP: Final = "127.0.0.1"  # IpAddress is required of us even when nobody sits at a browser
# A fuse against a register that never ends, not a limit of a day's work: a million rows.
_MAX_PAGES: Final = 10_000
_Found = TypeVar("_Found")

log = logs.logger(__name__)


class CloudPayments:
    """The connector. One terminal; HTTP Basic with its public id and secret."""

    name = "cloudpayments"
    # Others must be agreed with the provider first.
    currencies = frozenset({"RUB"})
    keeps_register = True
    reports_receipts = True
    methods = frozenset({MethodKind.CARD_CRYPTOGRAM, MethodKind.SAVED_METHOD, MethodKind.HOSTED})

    def __init__(
        self, public_id: str, secret: str, http: Transport, taxation_system: int, *, refuse_test_mode: bool
    ) -> None:
        self.terminal_id = public_id
        self._secret = secret
        self._http = http
        self._taxation_system = taxation_system
        self._refuse_test_mode = refuse_test_mode

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        secret = settings.cloudpayments_api_secret.get_secret_value()
        http = Transport(
            settings.cloudpayments_api_url,
            settings.cloudpayments_public_id,
            secret,
            concurrent_calls=settings.cloudpayments_concurrent_calls,
        )
        return cls(
            settings.cloudpayments_public_id,
            secret,
            http,
            settings.cloudpayments_taxation_system,
            refuse_test_mode=settings.is_production,
        )

    def takes_charges(self) -> bool:
        return True

    async def card_key(self) -> CardKey | None:
        answered = await self._http.get("/payments/publickey")
        if not isinstance(answered, Answered):
            return None
        return answers.read_card_key(answered.body, self.terminal_id)

    def accepts_cryptogram(self, cryptogram: str) -> bool:
        if len(cryptogram) > _MAX_CRYPTOGRAM or not cryptogram.isascii():
            return False
        if _LEGACY_CRYPTOGRAM.fullmatch(cryptogram):
            return True
        try:
            packet = json.loads(base64.b64decode(cryptogram, validate=True))
        except (binascii.Error, ValueError, RecursionError):
            return False
        return isinstance(packet, dict) and isinstance(packet.get("Value"), str) and "CardInfo" in packet

    async def charge(self, charge: Charge) -> ChargeOutcome:
        stage = "auth" if charge.hold else "charge"
        if charge.token is not None:
            path, body = f"/payments/tokens/{stage}", self._token_body(charge)
        else:
            path, body = f"/payments/cards/{stage}", self._card_body(charge)
        answered = await self._http.post(path, encode(body), request_id=charge.attempt_id)
        if not isinstance(answered, Answered):
            return answered
        outcome = answers.read_charge(answered.body)
        if isinstance(outcome, answers.RequestRefused):
            log.warning("provider-refused-request", path=path, why=outcome.message)
            by_card = charge.token is None
            return Declined(CARD_DATA_REFUSED if by_card else PROVIDER_REFUSED)
        return outcome

    def _common(self, charge: Charge) -> dict[str, Any]:
        receipt = Receipt(charge.receipt, charge.email)
        body: dict[str, Any] = {
            "Amount": amount_of(charge.amount_minor, charge.currency),
            "Currency": charge.currency,
            "InvoiceId": str(charge.attempt_id),
            "AccountId": str(charge.user_id),
            "Description": charge.description,
            "CultureName": _CULTURES[charge.locale],
            "IpAddress": charge.ip or _NO_IP,
            "JsonData": {
                "payment_id": str(charge.payment_id),
                **({"invoice_id": str(charge.invoice_id)} if charge.invoice_id else {}),
                **self._receipt(receipt, charge.currency),
            },
        }
        if charge.email:
            body["Email"] = charge.email
        return body

    def _card_body(self, charge: Charge) -> dict[str, Any]:
        body = self._common(charge)
        body["CardCryptogramPacket"] = charge.card_cryptogram
        body["SaveCard"] = charge.save_method
        if charge.cardholder_name:
            body["Name"] = charge.cardholder_name
        return body

    def _token_body(self, charge: Charge) -> dict[str, Any]:
        body = self._common(charge)
        body["Token"] = charge.token
        body["TrInitiatorCode"] = 0 if charge.merchant_initiated else 1
        body["PaymentScheduled"] = 1 if charge.merchant_initiated else 0
        return body

    async def finish_threeds(self, request_id: UUID, transaction_id: str, pa_res: str) -> ChargeOutcome:
        body = {"TransactionId": int(transaction_id), "PaRes": pa_res}
        answered = await self._http.post("/payments/cards/post3ds", encode(body), request_id=request_id)
        if not isinstance(answered, Answered):
            return answered
        outcome = answers.read_charge(answered.body)
        if isinstance(outcome, answers.RequestRefused):
            # It says nothing about the transaction, whose state only a query can tell.
            return Unknown(f"post3ds refused: {outcome.message}")
        return outcome

    def _receipt(self, receipt: Receipt | None, currency: str) -> dict[str, Any]:
        """A part of JsonData; empty without lines: a payment found in the register tells nothing of them."""
        if receipt is None or not receipt.lines:
            return {}
        content = customer_receipt(receipt, currency, self._taxation_system)
        return {"cloudpayments": {"CustomerReceipt": content}}

    async def capture(
        self,
        request_id: UUID,
        transaction_id: str,
        amount_minor: int,
        currency: str,
        receipt: Receipt | None = None,
    ) -> OperationOutcome:
        body: dict[str, Any] = {
            "TransactionId": int(transaction_id),
            "Amount": amount_of(amount_minor, currency),
        }
        if data := self._receipt(receipt, currency):
            body["JsonData"] = data
        return await self._operate("/payments/confirm", body, request_id)

    async def void(self, request_id: UUID, transaction_id: str) -> OperationOutcome:
        return await self._operate("/payments/void", {"TransactionId": int(transaction_id)}, request_id)

    async def refund(
        self,
        request_id: UUID,
        transaction_id: str,
        amount_minor: int,
        currency: str,
        receipt: Receipt | None = None,
    ) -> OperationOutcome:
        body = {
            "TransactionId": int(transaction_id),
            "Amount": amount_of(amount_minor, currency),
            # Comes back in the notification and the register: tells our refund from the cabinet's.
            "JsonData": {"refund_id": str(request_id), **self._receipt(receipt, currency)},
        }
        return await self._operate("/payments/refund", body, request_id, gives_transaction=True)

    async def _operate(
        self, path: str, body: Mapping[str, Any], request_id: UUID, *, gives_transaction: bool = False
    ) -> OperationOutcome:
        answered = await self._http.post(path, encode(body), request_id=request_id)
        if not isinstance(answered, Answered):
            return answered
        return answers.read_operation(answered.body, gives_transaction=gives_transaction)

    async def query(self, attempt_id: UUID, transaction_id: str | None) -> QueryOutcome:
        if transaction_id is not None:
            answered = await self._http.post("/payments/get", encode({"TransactionId": int(transaction_id)}))
        else:
            answered = await self._http.post("/payments/find", encode({"InvoiceId": str(attempt_id)}))
        if isinstance(answered, NotExecuted):
            return Unknown(answered.why)
        if isinstance(answered, Unknown):
            return answered
        return answers.read_query(answered.body, str(attempt_id))

    async def is_listed(self, attempt_id: UUID, since: datetime, until: datetime) -> bool | None:
        found = await self._walk(
            since, until, lambda row: True if row.get("InvoiceId") == str(attempt_id) else None, first=True
        )
        return None if found is None else bool(found)

    async def list_refunds(
        self, original_transaction_id: str, since: datetime, until: datetime
    ) -> Sequence[RefundFound] | None:
        return await self._walk(since, until, lambda row: answers.read_refund(row, original_transaction_id))

    async def read_register(self, since: datetime, until: datetime) -> Sequence[RegisterRow] | None:
        rows = await self._walk(since, until, read_row)
        # A row that came in while we turned the pages may be told of twice.
        return None if rows is None else list({row.transaction_id: row for row in rows}.values())

    async def _walk(
        self,
        since: datetime,
        until: datetime,
        read: Callable[[dict[str, Any]], _Found | None],
        *,
        first: bool = False,
    ) -> list[_Found] | None:
        """What ``read`` makes of the register's rows, to the first empty page or, if asked, the first found.

        None when a page cannot be read: then nothing is certain. Of a page only what was found is kept.
        """
        found: list[_Found] = []
        for page in range(1, _MAX_PAGES + 1):
            body = {
                "CreatedDateGte": since.isoformat(timespec="seconds"),
                "CreatedDateLte": until.isoformat(timespec="seconds"),
                "PageNumber": page,
                "TimeZone": "UTC",
            }
            answered = await self._http.post("/v2/payments/list", encode(body))
            rows = answers.read_list(answered.body) if isinstance(answered, Answered) else None
            if rows is None:
                return None
            if not rows:
                return found
            found += [made for row in rows if (made := read(row)) is not None]
            if first and found:
                return found
        log.error("register-has-no-end", pages=_MAX_PAGES, since=since.isoformat(), until=until.isoformat())
        return None

    def read_notification(self, kind: str, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        notifications.verify(self._secret, headers, body)
        return notifications.read(kind, headers.get("content-type", ""), body)

    def answer_check(self, answer: CheckAnswer) -> Mapping[str, Any]:
        return {"code": _CHECK_CODES[answer]}

    def answer_received(self) -> Mapping[str, Any]:
        return {"code": 0}

    def refuses(self, *, test_mode: bool) -> bool:
        """Test money is no money in production."""
        return test_mode and self._refuse_test_mode

    async def aclose(self) -> None:
        await self._http.aclose()
