"""Bank transfer: the payer gets bank details, staff confirm the money; nothing is sent anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from pay_api.providers.base import (
    AwaitsPerson,
    CardKey,
    Charge,
    ChargeOutcome,
    CheckAnswer,
    MethodKind,
    NotFound,
    OperationOutcome,
    PayerInstructed,
    ProviderEvent,
    QueryOutcome,
    Receipt,
    RefundFound,
    Refused,
    RegisterRow,
    SignatureInvalid,
    Unknown,
)
from pay_api.settings import Settings

VALID_FOR: Final = timedelta(days=14)
_BY_HAND: Final = "the accountant moves this money by hand"
_PURPOSES: Final = {"ru": "Оплата: {what}. Код {code}", "en": "Payment: {what}. Code {code}"}


def transfer_code(payment_id: UUID) -> str:
    """Eight characters the payer writes into the transfer: the random end of the payment's id, by which
    staff find it in every service."""
    return payment_id.hex[-8:].upper()


class BankTransfer:
    """The connector. ``details`` are what a payer's bank asks for, by stable names."""

    name = "bank_transfer"
    terminal_id = "bank-account"
    currencies = frozenset({"RUB"})
    methods = frozenset({MethodKind.BANK_TRANSFER})
    keeps_register = False
    reports_receipts = False  # the accountant's own register prints them

    def __init__(self, details: Mapping[str, str]) -> None:
        self._details = {name: value for name, value in details.items() if value}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """None without an account: there is nowhere to send the money."""
        if not settings.transfer_account:
            return None
        return cls(
            {
                "recipient": settings.bank_transfer_recipient,
                "inn": settings.bank_transfer_inn,
                "account": settings.transfer_account,
                "bank": settings.bank_transfer_bank,
                "bic": settings.bank_transfer_bic,
                "correspondent_account": settings.bank_transfer_correspondent_account,
            }
        )

    def takes_charges(self) -> bool:
        return True

    async def card_key(self) -> CardKey | None:
        return None

    def accepts_cryptogram(self, cryptogram: str) -> bool:
        return False

    async def charge(self, charge: Charge) -> ChargeOutcome:
        code = transfer_code(charge.payment_id)
        purpose = _PURPOSES[charge.locale].format(what=charge.description, code=code)
        instructions = {**self._details, "code": code, "purpose": purpose}
        return PayerInstructed(f"transfer-{charge.attempt_id}", instructions, VALID_FOR)

    async def finish_threeds(self, request_id: UUID, transaction_id: str, pa_res: str) -> ChargeOutcome:
        return Unknown("bank transfers have no 3-D Secure")

    async def capture(
        self,
        request_id: UUID,
        transaction_id: str,
        amount_minor: int,
        currency: str,
        receipt: Receipt | None = None,
    ) -> OperationOutcome:
        return Refused(_BY_HAND)

    async def void(self, request_id: UUID, transaction_id: str) -> OperationOutcome:
        return Refused(_BY_HAND)

    async def refund(
        self,
        request_id: UUID,
        transaction_id: str,
        amount_minor: int,
        currency: str,
        receipt: Receipt | None = None,
    ) -> OperationOutcome:
        return AwaitsPerson(_BY_HAND)

    async def query(self, attempt_id: UUID, transaction_id: str | None) -> QueryOutcome:
        """Asked only after a crash before the instructions were written: nothing was begun then."""
        return NotFound()

    async def is_listed(self, attempt_id: UUID, since: datetime, until: datetime) -> bool | None:
        return False

    async def list_refunds(
        self, original_transaction_id: str, since: datetime, until: datetime
    ) -> Sequence[RefundFound] | None:
        return []

    async def read_register(self, since: datetime, until: datetime) -> Sequence[RegisterRow] | None:
        return None

    def read_notification(self, kind: str, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        raise SignatureInvalid("nobody notifies of bank transfers")

    def refuses(self, *, test_mode: bool) -> bool:
        return test_mode

    def answer_check(self, answer: CheckAnswer) -> Mapping[str, Any]:
        return {}

    def answer_received(self) -> Mapping[str, Any]:
        return {}

    async def aclose(self) -> None:
        """Nothing is open."""
