"""One transaction of the terminal, and its model on the wire with every key (protocol 1.2)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import IntEnum
from typing import Any, Final, Self

from pay_api.sandbox.reasons import cardholder_message, reason_name
from shared.money import minor_to_decimal_text


class Status(IntEnum):
    """Numbers as the wire has them (Created's is not documented); the name in PascalCase is the Status."""

    CREATED = 0  # not by cards: a link nobody has paid yet, a payment or payout under way
    AWAITING_AUTHENTICATION = 1
    AUTHORIZED = 2
    COMPLETED = 3
    CANCELLED = 4
    DECLINED = 5

    @property
    def wire_name(self) -> str:
        return self.name.title().replace("_", "")


class TransactionType(IntEnum):
    PAYMENT = 0
    REFUND = 1
    PAYOUT = 2


# Only RUB 0 is documented; the other numbers are the stand-in's choice.
_CURRENCY_CODES: Final = {"RUB": 0, "USD": 1, "EUR": 2, "KZT": 4, "GEL": 20, "AMD": 21, "UZS": 22}

# Known to no test terminal, yet clients read these keys of every transaction.
_ALWAYS_NULL: Final = (
    "FallBackScenarioDeclinedTransactionId",
    "EscrowAccumulationId",
    "VatAboveTotalFee",
    "ProcessorAndPartnerFee",
    "VatWithinProcessorFee",
    "PayoutDate",
    "PayoutDateIso",
    "PayoutAmount",
    "IpCity",
    "IpRegion",
    "IpDistrict",
    "IpLatitude",
    "IpLongitude",
    "CardProduct",
    "CardCategory",
    "InfoShopData",
    "Receiver",
)


@dataclass(frozen=True, slots=True)
class SavedCard:
    """A card behind a token: what a token payment needs, and no number."""

    token: str
    account_id: str
    first_six: str
    last_four: str
    exp_date: str
    card_type: str
    card_type_code: int
    reason_code: int  # what the issuer says to a payment by this token
    is_account: bool = False  # of SBP: a bank account, no card; payments by it end later


@dataclass(slots=True, kw_only=True)
class Transaction:
    """State of one operation; amounts in minor units, moments aware in UTC. Holds no whole card number."""

    id: int
    type: int
    status: Status
    amount_minor: int
    currency: str
    created_at: datetime
    culture_name: str
    method: str
    one_stage: bool
    request_id: str | None = None
    original_id: int | None = None
    reason_code: int | None = None
    auth_at: datetime | None = None
    confirmed_at: datetime | None = None
    refunded_minor: int = 0
    invoice_id: str | None = None
    account_id: str | None = None
    email: str | None = None
    description: str | None = None
    json_data: str | None = None
    name: str | None = None
    ip_address: str | None = None
    initiator_code: int | None = None
    payment_scheduled: int | None = None
    card_first_six: str | None = None
    card_last_four: str | None = None
    card_exp_date: str | None = None
    card_type: str | None = None
    card_type_code: int | None = None
    token: str | None = None
    token_reason_code: int = 0
    save_card: bool = False
    awaited_reason_code: int = 0  # what the issuer will say once the payer is authenticated
    rrn: str | None = None
    subscription_id: str | None = None
    payment_method: str | None = None  # Sbp, TinkoffPay, SberPay, Dolyame; none: a card
    link_id: str | None = None  # of the page where the payer confirms
    settles_at: datetime | None = None  # under way until then, or a link that expires then
    success_url: str | None = None
    fail_url: str | None = None
    callback_id: str | None = None  # ThreeDsCallbackId of the challenge

    @property
    def is_held(self) -> bool:
        return self.status is Status.AUTHORIZED

    @property
    def succeeded(self) -> bool:
        """Whether get and find answer ``Success: true`` for it."""
        return self.status in (Status.AUTHORIZED, Status.COMPLETED)

    def as_record(self) -> dict[str, Any]:
        """For the state file; read back by from_record."""
        record = asdict(self)
        for name in _MOMENTS:
            record[name] = record[name].isoformat() if record[name] else None
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in record.items() if name in known}
        for name in _MOMENTS:
            values[name] = datetime.fromisoformat(values[name]) if values.get(name) else None
        values["status"] = Status(values["status"])
        return cls(**values)


_MOMENTS: Final = ("created_at", "auth_at", "confirmed_at", "settles_at")


def amount_number(minor: int, currency: str) -> int | float:
    """The amount as the JSON number of an answer: ``10``, ``12.34``.

    The float is only a way to print: an amount has at most 15 digits, and so many survive unchanged.
    """
    text = minor_to_decimal_text(minor, currency)
    whole, _, rest = text.partition(".")
    return int(whole) if not rest.strip("0") else float(text)


def currency_code(currency: str) -> int:
    """The provider's number of a currency."""
    return _CURRENCY_CODES[currency]


def put_card(transaction: Transaction, card: SavedCard) -> None:
    """The card behind a token becomes the card of the transaction."""
    transaction.token = card.token
    transaction.card_first_six = card.first_six
    transaction.card_last_four = card.last_four
    transaction.card_exp_date = card.exp_date
    transaction.card_type = card.card_type
    transaction.card_type_code = card.card_type_code
    transaction.token_reason_code = card.reason_code


def both_dates(name: str, moment: datetime | None) -> dict[str, str | None]:
    """``NameDate`` as ``/Date(ms)/`` and ``NameDateIso`` in seconds without a suffix, both UTC."""
    if moment is None:
        return {f"{name}Date": None, f"{name}DateIso": None}
    seconds = moment.replace(microsecond=0)
    return {
        f"{name}Date": f"/Date({int(seconds.timestamp()) * 1000})/",
        f"{name}DateIso": seconds.strftime("%Y-%m-%dT%H:%M:%S"),
    }


def as_model(transaction: Transaction, public_id: str, terminal_url: str) -> dict[str, Any]:
    """The transaction as card, token, get, find and list methods return it."""
    amount = amount_number(transaction.amount_minor, transaction.currency)
    code_of_currency = currency_code(transaction.currency)
    code = transaction.reason_code
    return {
        **dict.fromkeys(_ALWAYS_NULL),
        "TransactionId": transaction.id,
        "PublicId": public_id,
        "TerminalUrl": terminal_url,
        "Type": transaction.type,
        "OriginalTransactionId": transaction.original_id,
        "Amount": amount,
        "Currency": transaction.currency,
        "CurrencyCode": code_of_currency,
        "PaymentAmount": amount,
        "PaymentCurrency": transaction.currency,
        "PaymentCurrencyCode": code_of_currency,
        "TotalFee": 0,
        "Refunded": 0 < transaction.amount_minor == transaction.refunded_minor,
        "SubscriptionId": transaction.subscription_id,
        "InvoiceId": transaction.invoice_id,
        "AccountId": transaction.account_id,
        "Email": transaction.email,
        "Description": transaction.description,
        "JsonData": transaction.json_data,
        "Name": transaction.name,
        "TrInitiatorCode": transaction.initiator_code,
        **both_dates("Created", transaction.created_at),
        **both_dates("Auth", transaction.auth_at),
        **both_dates("Confirm", transaction.confirmed_at),
        "Status": transaction.status.wire_name,
        "StatusCode": int(transaction.status),
        "Reason": reason_name(code) if code is not None else None,
        # 0 also while nothing is decided: whoever reads it without the Status is wrong.
        "ReasonCode": code or 0,
        "CardHolderMessage": cardholder_message(code, transaction.culture_name) if code is not None else None,
        "AuthCode": "A1B2C3" if transaction.auth_at else None,
        "Rrn": transaction.rrn,
        "CultureName": transaction.culture_name,
        "TestMode": True,
        "TransactionIsInProcess": transaction.type == TransactionType.PAYOUT
        and transaction.status is Status.CREATED,
        "IpAddress": transaction.ip_address,
        "IpCountry": "" if transaction.ip_address else None,
        "CardFirstSix": transaction.card_first_six,
        "CardLastFour": transaction.card_last_four,
        "CardExpDate": transaction.card_exp_date,
        "CardType": transaction.card_type,
        "CardTypeCode": transaction.card_type_code,
        "Issuer": "Sandbox Bank" if transaction.card_first_six else None,
        "IssuerBankCountry": "RU" if transaction.card_first_six else None,
        "Token": transaction.token,
        "GatewayName": "Test",
        "Gateway": 0,
        "AndroidPay": False,
        "ApplePay": False,
        "MasterPass": False,
        "WalletType": "",
        "IsLocalOrder": False,
        "HideInvoiceId": False,
    }
