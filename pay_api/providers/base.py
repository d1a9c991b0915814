"""What a payment provider is to PayService: the protocol and neutral types, free of any provider's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, Self
from uuid import UUID

from pay_api.pay_service.declines import DeclineReason


@dataclass(frozen=True, slots=True)
class Card:
    """Masked data of a card, as it may be kept."""

    first_six: str
    last_four: str
    brand: str
    expires_month: int
    expires_year: int

    @property
    def mask(self) -> str:
        return f"{self.first_six[:4]} {self.first_six[4:]}** **** {self.last_four}"


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """One line of a 54-FZ receipt: ``amount_minor`` is the line's total; no rate means "without VAT"."""

    label: str
    quantity: int
    amount_minor: int
    vat_rate_bp: int | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The 54-FZ receipt of a capture or refund; its lines add up to the sum that moves."""

    lines: tuple[ReceiptLine, ...]
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """Everything a charge needs. ``attempt_id`` is also the request id of the call."""

    attempt_id: UUID
    payment_id: UUID
    user_id: UUID
    amount_minor: int
    currency: str
    description: str
    locale: str
    email: str | None
    ip: str | None
    hold: bool
    receipt: tuple[ReceiptLine, ...]
    merchant_initiated: bool = False
    card_cryptogram: str | None = field(default=None, repr=False)
    cardholder_name: str | None = field(default=None, repr=False)
    save_method: bool = False
    token: str | None = field(default=None, repr=False)
    invoice_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Paid:
    """Money moved or held: what the provider says it was."""

    transaction_id: str
    amount_minor: int
    currency: str
    account_id: str | None
    test_mode: bool
    card: Card | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Succeeded(Paid):
    """The money was taken."""


@dataclass(frozen=True, slots=True)
class Authorized(Paid):
    """The money is held."""


@dataclass(frozen=True, slots=True)
class Declined:
    """An explicit refusal."""

    reason: DeclineReason
    provider_code: int | None = None
    transaction_id: str | None = None
    card: Card | None = None


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """The payer must pass 3-D Secure at ``acs_url``."""

    transaction_id: str
    acs_url: str
    pa_req: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have happened; ``why`` is for the log and the history."""

    why: str


@dataclass(frozen=True, slots=True)
class NotExecuted:
    """Certainly nothing happened: the request was not sent, or not taken."""

    why: str


@dataclass(frozen=True, slots=True)
class PayerInstructed:
    """The payer pays elsewhere, as the instructions say (stable name -> text)."""

    transaction_id: str
    instructions: Mapping[str, str]
    valid_for: timedelta


ChargeOutcome = Succeeded | Authorized | Declined | ActionRequired | PayerInstructed | Unknown | NotExecuted


@dataclass(frozen=True, slots=True)
class Voided:
    """The hold was given back."""

    transaction_id: str


@dataclass(frozen=True, slots=True)
class AwaitingPayer:
    """The provider waits for the payer's 3-D Secure."""

    transaction_id: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The provider knows nothing of it (yet)."""


QueryOutcome = Succeeded | Authorized | Declined | Voided | AwaitingPayer | NotFound | Unknown


@dataclass(frozen=True, slots=True)
class Done:
    """A capture, void or refund was made; a refund has a transaction of its own."""

    transaction_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A capture, void or refund was explicitly refused."""

    why: str


@dataclass(frozen=True, slots=True)
class AwaitsPerson:
    """Taken down, but only a person can move this money; staff say when they have."""

    why: str


OperationOutcome = Done | Refused | AwaitsPerson | Unknown | NotExecuted


@dataclass(frozen=True, slots=True)
class RefundFound:
    """A refund as the provider's register shows it."""

    transaction_id: str
    original_transaction_id: str
    amount_minor: int
    refund_id: UUID | None


class MethodKind(StrEnum):
    """How a payer pays; a connector says which it takes."""

    CARD_CRYPTOGRAM = "card_cryptogram"
    SAVED_METHOD = "saved_method"
    HOSTED = "hosted"
    BANK_TRANSFER = "bank_transfer"


@dataclass(frozen=True, slots=True)
class CardKey:
    """The provider's public RSA key, numbers in hexadecimal, and the terminal the card is meant for."""

    modulus: str
    exponent: str
    version: str
    terminal_id: str


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """An operation that moved money or holds it, as the provider's own register has it.

    Exactly one of ``paid`` and ``refund`` is there; neither when the row cannot be read. Ids of ours are
    those we gave with the charge, if any.
    """

    transaction_id: str
    created_at: datetime
    paid: Succeeded | Authorized | None = None
    refund: RefundFound | None = None
    attempt_id: UUID | None = None
    payment_id: UUID | None = None
    invoice_id: UUID | None = None
    description: str = ""


class EventKind(StrEnum):
    """Notifications, in neutral words."""

    CHECK = "check"
    PAID = "paid"
    FAILED = "failed"
    CAPTURED = "captured"
    VOIDED = "voided"
    REFUNDED = "refunded"
    RECEIPT = "receipt"
    OTHER = "other"


class ReceiptKind(StrEnum):
    """Which way the money of a fiscal receipt went."""

    INCOME = "income"
    INCOME_RETURN = "income_return"


@dataclass(frozen=True, slots=True)
class PrintedReceipt:
    """A fiscal receipt as the register printed it; its sum stands in the event that tells of it."""

    receipt_id: str
    kind: ReceiptKind
    document_number: str
    fiscal_sign: str
    device_number: str
    url: str | None
    issued_at: datetime

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"issued_at": self.issued_at.isoformat()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        moment = datetime.fromisoformat(stored["issued_at"])
        return cls(**{**stored, "kind": ReceiptKind(stored["kind"]), "issued_at": moment})


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One verified notification. Amounts are minor units; absent members were not told.

    Of a receipt ``transaction_id`` is the money's (empty when it has none) and ``status`` its own id.
    """

    kind: EventKind
    transaction_id: str
    status: str
    attempt_id: str | None = None
    account_id: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    held: bool = False
    original_transaction_id: str | None = None
    refund_id: str | None = None
    reason_code: int | None = None
    test_mode: bool = False
    card: Card | None = None
    token: str | None = field(default=None, repr=False)
    receipt: PrintedReceipt | None = None


class CheckAnswer(StrEnum):
    """What a provider is told before it authorises."""

    GO = "go"
    UNKNOWN_ATTEMPT = "unknown_attempt"
    WRONG_ACCOUNT = "wrong_account"
    WRONG_AMOUNT = "wrong_amount"
    NOT_ACCEPTED = "not_accepted"
    EXPIRED = "expired"


class SignatureInvalid(Exception):
    """The notification was not signed with our secret."""


class NotificationMalformed(Exception):
    """Signed, but not a notification this connector can read."""


class Provider(Protocol):
    """A connector: stateless translation between neutral types and a provider's protocol. Never raises
    for what a provider does: an answer it cannot read is ``Unknown``."""

    name: str
    terminal_id: str
    currencies: frozenset[str]
    keeps_register: bool
    # Whether it prints a fiscal receipt for every sum it takes or gives back, and tells of each.
    reports_receipts: bool
    methods: frozenset[MethodKind]

    def takes_charges(self) -> bool:
        """Whether a new attempt makes sense now; nothing is asked of the provider."""
        ...

    async def card_key(self) -> CardKey | None:
        """With what a browser encrypts a card; None when the provider did not say, or takes no cards."""
        ...

    def accepts_cryptogram(self, cryptogram: str) -> bool:
        """Whether the text has the outer form of a card cryptogram; nothing is sent."""
        ...

    async def charge(self, charge: Charge) -> ChargeOutcome: ...

    async def finish_threeds(self, request_id: UUID, transaction_id: str, pa_res: str) -> ChargeOutcome: ...

    async def capture(
        self,
        request_id: UUID,
        transaction_id: str,
        amount_minor: int,
        currency: str,
        receipt: Receipt | None = None,
    ) -> OperationOutcome: ...

    async def void(self, request_id: UUID, transaction_id: str) -> OperationOutcome: ...

    async def refund(
        self,
        request_id: UUID,
        transaction_id: str,
        amount_minor: int,
        currency: str,
        receipt: Receipt | None = None,
    ) -> OperationOutcome: ...

    async def query(self, attempt_id: UUID, transaction_id: str | None) -> QueryOutcome:
        """What became of a charge; by the transaction when it is known, else by the attempt."""
        ...

    async def is_listed(self, attempt_id: UUID, since: datetime, until: datetime) -> bool | None:
        """Whether the register of that time shows the attempt; None when it could not be read."""
        ...

    async def list_refunds(
        self, original_transaction_id: str, since: datetime, until: datetime
    ) -> Sequence[RefundFound] | None:
        """Refunds of a transaction in the register of that time; None when it could not be read."""
        ...

    async def read_register(self, since: datetime, until: datetime) -> Sequence[RegisterRow] | None:
        """Operations with money created within that time, oldest first; None when it could not be read.

        Only of a provider that ``keeps_register``.
        """
        ...

    def read_notification(self, kind: str, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """A verified notification. Raises SignatureInvalid, NotificationMalformed."""
        ...

    def refuses(self, *, test_mode: bool) -> bool:
        """Whether a transaction of this mode is no real money here."""
        ...

    def answer_check(self, answer: CheckAnswer) -> Mapping[str, Any]: ...

    def answer_received(self) -> Mapping[str, Any]: ...

    async def aclose(self) -> None: ...
