"""Reason codes of a transaction, their names and the words for the cardholder (protocol 1.6)."""

from __future__ import annotations

from typing import Final

APPROVED: Final = 0
INVALID_CARD_NUMBER: Final = 5014
INSUFFICIENT_FUNDS: Final = 5051
EXPIRED_CARD: Final = 5054
UNABLE_TO_PROCESS: Final = 5204
WITHDRAWN: Final = 5017
AUTHENTICATION_FAILED: Final = 5206
CHECK_FORMAT_ERROR: Final = 3005
CHECK_UNAVAILABLE: Final = 3006
CHECK_UNABLE_TO_CONNECT: Final = 3007

REASON_OF_CHECK_CODE: Final = {10: 3001, 11: 3002, 12: 3003, 13: 3008, 20: 3004}

# (Russian, English) by class; the literals of "ok" and "funds" are the provider's own.
_WORDS: Final[dict[str, tuple[str, str]]] = {
    "ok": ("Оплата успешно проведена", "Payment successful"),
    "funds": ("Недостаточно средств на карте", "Insufficient funds on the card"),
    "B": (
        "Свяжитесь с вашим банком или воспользуйтесь другой картой",
        "Contact your bank or use another card",
    ),
    "C": (
        "Проверьте правильность введённых данных карты или воспользуйтесь другой картой",
        "Check the card details or use another card",
    ),
    "O": ("Воспользуйтесь другой картой", "Use another card"),
    "L": ("Повторите попытку позже", "Try again later"),
    "T": ("Повторите попытку позже или воспользуйтесь другой картой", "Try again later or use another card"),
    "X": (
        "Этот тип карт не принимается. Воспользуйтесь другой картой",
        "Cards of this kind are not accepted. Use another card",
    ),
    "amount": ("Проверьте сумму платежа", "Check the amount"),
    "limit": (
        "Измените настройки лимита по карте или воспользуйтесь другой картой",
        "Raise the limit of the card or use another card",
    ),
    "cvv": ("Неверно указан код CVV", "The CVV code is wrong"),
    "payout": ("Выплата не может быть проведена", "The payout cannot be made"),
    "refused": ("Платёж не может быть принят", "The payment cannot be accepted"),
}

_REASONS: Final[dict[int, tuple[str, str]]] = {
    0: ("Approved", "ok"),
    3001: ("InvalidInvoiceId", "refused"),
    3002: ("InvalidAccountId", "refused"),
    3003: ("InvalidAmount", "refused"),
    3004: ("OutOfDate", "refused"),
    3005: ("FormatError", "refused"),
    3006: ("CheckResponseServiceUnavailable", "refused"),
    3007: ("UnableToConnect", "refused"),
    3008: ("NotAccepted", "refused"),
    5001: ("ReferToCardIssuer", "B"),
    5003: ("InvalidMerchant", "B"),
    5004: ("PickUpCard", "B"),
    5005: ("DoNotHonor", "B"),
    5006: ("Error", "C"),
    5007: ("PickUpCardSpecialConditions", "B"),
    5012: ("InvalidTransaction", "O"),
    5013: ("AmountError", "amount"),
    5014: ("InvalidCardNumber", "C"),
    5015: ("NoSuchIssuer", "C"),
    5017: ("CustomerCancellation", "O"),
    5019: ("TransactionError", "B"),
    5030: ("FormatError", "L"),
    5031: ("BankNotSupportedBySwitch", "O"),
    5033: ("ExpiredCardPickup", "B"),
    5034: ("SuspectedFraud", "B"),
    5036: ("RestrictedCard", "X"),
    5041: ("LostCard", "B"),
    5043: ("StolenCard", "B"),
    5051: ("InsufficientFunds", "funds"),
    5054: ("ExpiredCard", "C"),
    5055: ("InvalidPIN", "O"),
    5057: ("TransactionNotPermitted", "B"),
    5058: ("TransactionNotPermittedToCard", "B"),
    5059: ("SuspectedFraudDecline", "B"),
    5061: ("ExceedsApprovalAmount", "limit"),
    5062: ("RestrictedCard2", "X"),
    5063: ("SecurityViolation", "O"),
    5065: ("ExceedWithdrawalFrequency", "B"),
    5082: ("IncorrectCVV", "cvv"),
    5091: ("Timeout", "T"),
    5092: ("CannotReachNetwork", "T"),
    5096: ("SystemError", "L"),
    5113: ("CardNotSupported", "O"),  # its name is not documented
    5204: ("UnableToProcess", "B"),
    5206: ("AuthenticationFailed", "B"),
    5207: ("AuthenticationUnavailable", "B"),
    5300: ("AntiFraud", "O"),
    5303: ("AcquirerTerminalLimitsExceeded", "B"),
    5761: ("NoPhone", "O"),
    5762: ("InvalidPhone", "O"),
    5763: ("DifferentPhones", "O"),
    6001: ("SaveCardRefused", "refused"),
    6002: ("InvalidErrorCode", "refused"),
    6003: ("AgentIdNotExists", "refused"),
    6004: ("CurrencyNotValid", "refused"),
    6005: ("InvalidPaymentLink", "refused"),
    6006: ("AmountCurrencyNotValid", "refused"),
    6007: ("InvalidRedirectUrl", "refused"),
    6008: ("InvalidParamsId", "refused"),
    6009: ("InvalidTtl", "refused"),
    6010: ("SubscriptionNotFound", "refused"),
    6011: ("InvalidSubscription", "refused"),
    6013: ("InvalidRefund", "refused"),
    6014: ("OriginalDetailsIncorrect", "refused"),
    6015: ("TransactionNotFound", "refused"),
    6016: ("InvalidMemberId", "refused"),
    6017: ("IncorrectMCCategory", "refused"),
    6021: ("ReceiverAccountError", "payout"),
    6022: ("ReceiverNameError", "payout"),
    6025: ("CrossTerminalTokenRestriction", "refused"),
}


def is_known(code: int) -> bool:
    return code in _REASONS


def reason_name(code: int) -> str:
    """The PascalCase name of a code; raises KeyError for one the stand-in never gives."""
    return _REASONS[code][0]


def cardholder_message(code: int, culture_name: str) -> str:
    """What the payer is told: English for en-*, Russian otherwise (the provider's default)."""
    russian, english = _WORDS[_REASONS[code][1]]
    return english if culture_name.lower().startswith("en") else russian
