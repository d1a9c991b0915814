"""Every reason code of CloudPayments: what it means for the next try, and words for the payer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.queue.messages.payments import DeclineClass

HARD, SOFT = DeclineClass.HARD, DeclineClass.SOFT
TECHNICAL, AUTHENTICATION = DeclineClass.TECHNICAL, DeclineClass.AUTHENTICATION


@dataclass(frozen=True, slots=True)
class DeclineReason:
    """A decline without its words: class and a stable code (kebab-case)."""

    decline_class: DeclineClass
    code: str


# What the payer reads, by message key: Russian, English. The keys B C O L T X are the provider's own classes.
MESSAGES: Final[dict[str, tuple[str, str]]] = {
    "B": (
        "Банк отклонил платёж. Свяжитесь с банком или попробуйте другую карту.",
        "The bank refused the payment. Contact your bank or use another card.",
    ),
    "C": (
        "Платёж не прошёл. Проверьте данные карты или попробуйте другую карту.",
        "The payment did not go through. Check the card details or use another card.",
    ),
    "O": (
        "Этой картой оплатить нельзя. Попробуйте другую карту.",
        "This card cannot be used here. Use another card.",
    ),
    "L": ("Платёж не прошёл. Повторите попытку позже.", "The payment did not go through. Try again later."),
    "T": (
        "Банк не ответил. Повторите попытку позже или попробуйте другую карту.",
        "The bank did not answer. Try again later or use another card.",
    ),
    "X": (
        "Карты этого типа не принимаются. Попробуйте другую карту.",
        "Cards of this kind are not accepted. Use another card.",
    ),
    "amount": (
        "Банк не принял сумму платежа. Попробуйте другую карту.",
        "The bank did not accept the amount. Use another card.",
    ),
    "funds": (
        "Недостаточно средств на карте. Пополните её или попробуйте другую карту.",
        "There is not enough money on the card. Top it up or use another card.",
    ),
    "limit": (
        "Превышен лимит карты. Увеличьте лимит в банке или попробуйте другую карту.",
        "The card's limit is exceeded. Raise the limit at your bank or use another card.",
    ),
    "cvv": (
        "Неверный код CVV. Проверьте его и попробуйте ещё раз.",
        "The CVV code is wrong. Check it and try again.",
    ),
    "expired": (
        "Срок действия карты истёк или указан неверно. Проверьте его или попробуйте другую карту.",
        "The card has expired or the date is wrong. Check it or use another card.",
    ),
    "threeds": (
        "Банк не подтвердил вашу личность. Попробуйте ещё раз или возьмите другую карту.",
        "Your bank could not confirm it was you. Try again or use another card.",
    ),
    "threeds-expired": (
        "Время на подтверждение платежа истекло. Начните оплату заново.",
        "The time to confirm the payment is over. Start the payment again.",
    ),
    "impossible": (
        "Этим способом оплатить нельзя. Выберите другой способ оплаты.",
        "This payment method cannot be used. Choose another one.",
    ),
    "shop": (
        "Платёж не прошёл из-за ошибки на нашей стороне. Деньги не списаны, попробуйте позже.",
        "The payment failed because of an error on our side. Nothing was charged; try again later.",
    ),
    "provider": (
        "Платёжная система сейчас не отвечает. Деньги не списаны, попробуйте позже.",
        "The payment system does not answer just now. Nothing was charged; try again later.",
    ),
    "detached": (
        "Сохранённая карта удалена. Выберите другой способ оплаты.",
        "The saved card has been removed. Choose another payment method.",
    ),
}

# code -> (class, stable code, message key). Hard are the provider's never-retry codes and what only another
# card can mend; soft are money and limits, retried days later; technical is tried again soon.
_REASONS: Final[dict[int, tuple[DeclineClass, str, str]]] = {
    5001: (HARD, "refer-to-issuer", "B"),
    5003: (HARD, "invalid-merchant", "B"),
    5004: (HARD, "lost-card", "B"),
    5005: (HARD, "do-not-honor", "B"),
    5006: (SOFT, "network-refusal", "C"),
    5007: (HARD, "lost-card", "B"),
    5012: (HARD, "not-for-online-use", "O"),
    5013: (SOFT, "amount-refused", "amount"),
    5014: (HARD, "invalid-card-number", "C"),
    5015: (HARD, "issuer-not-found", "C"),
    5017: (HARD, "cardholder-withdrew", "O"),
    5019: (SOFT, "transaction-error", "B"),
    5030: (TECHNICAL, "format-error", "L"),
    5031: (HARD, "issuer-not-supported", "O"),
    5033: (HARD, "expired-card", "B"),
    5034: (HARD, "suspected-fraud", "B"),
    5036: (HARD, "restricted-card", "X"),
    5041: (HARD, "lost-card", "B"),
    5043: (HARD, "stolen-card", "B"),
    5051: (SOFT, "insufficient-funds", "funds"),
    5054: (HARD, "expired-card", "expired"),
    5055: (HARD, "invalid-pin", "O"),
    5057: (HARD, "not-permitted", "B"),
    5058: (HARD, "not-permitted", "B"),
    5059: (HARD, "suspected-fraud", "B"),
    5061: (SOFT, "limit-exceeded", "limit"),
    5062: (HARD, "restricted-card", "X"),
    5063: (HARD, "card-blocked", "O"),
    5065: (SOFT, "limit-exceeded", "B"),
    5075: (HARD, "invalid-pin", "O"),
    5082: (HARD, "incorrect-cvv", "cvv"),
    5091: (TECHNICAL, "issuer-unavailable", "T"),
    5092: (TECHNICAL, "issuer-unavailable", "T"),
    5096: (TECHNICAL, "system-error", "L"),
    5113: (HARD, "card-not-supported", "O"),
    5204: (SOFT, "unable-to-process", "B"),
    5206: (AUTHENTICATION, "authentication-failed", "threeds"),
    5207: (AUTHENTICATION, "authentication-unavailable", "threeds"),
    5209: (HARD, "restricted-card", "B"),
    5300: (SOFT, "acquirer-limits", "O"),
    5303: (SOFT, "terminal-limits", "B"),
    5761: (HARD, "phone-refused", "O"),
    5762: (HARD, "phone-refused", "O"),
    5763: (HARD, "phone-refused", "O"),
    **{code: (HARD, "payment-impossible", "impossible") for code in range(6001, 6018) if code != 6012},
    6004: (TECHNICAL, "payment-impossible", "shop"),
    6021: (HARD, "payment-impossible", "impossible"),
    6022: (HARD, "payment-impossible", "impossible"),
    6025: (HARD, "token-of-another-terminal", "impossible"),
    3001: (TECHNICAL, "check-refused", "shop"),
    3002: (TECHNICAL, "check-refused", "shop"),
    3003: (TECHNICAL, "check-refused", "shop"),
    3004: (TECHNICAL, "check-refused", "shop"),
    3005: (TECHNICAL, "check-unavailable", "shop"),
    3006: (TECHNICAL, "check-unavailable", "shop"),
    3007: (TECHNICAL, "check-unavailable", "shop"),
    3008: (TECHNICAL, "check-refused", "shop"),
}

# Declines that are ours, not a bank's: stable code -> (class, message key).
_OURS: Final[dict[str, tuple[DeclineClass, str]]] = {
    "authentication-expired": (AUTHENTICATION, "threeds-expired"),
    "card-data-refused": (HARD, "C"),
    "provider-refused": (TECHNICAL, "shop"),
    "provider-unavailable": (TECHNICAL, "provider"),
    "no-effect": (TECHNICAL, "provider"),
    "payment-method-detached": (HARD, "detached"),
}

AUTHENTICATION_EXPIRED: Final = DeclineReason(AUTHENTICATION, "authentication-expired")
CARD_DATA_REFUSED: Final = DeclineReason(HARD, "card-data-refused")
PROVIDER_REFUSED: Final = DeclineReason(TECHNICAL, "provider-refused")
PROVIDER_UNAVAILABLE: Final = DeclineReason(TECHNICAL, "provider-unavailable")
NO_EFFECT: Final = DeclineReason(TECHNICAL, "no-effect")
METHOD_DETACHED: Final = DeclineReason(HARD, "payment-method-detached")

_MESSAGE_KEYS: Final[dict[tuple[DeclineClass, str], str]] = {
    **{(row[0], row[1]): row[2] for row in _REASONS.values()},
    **{(decline_class, code): key for code, (decline_class, key) in _OURS.items()},
    # One code with two texts at the provider: the plainer one.
    (SOFT, "limit-exceeded"): "limit",
    (HARD, "expired-card"): "expired",
    (HARD, "restricted-card"): "X",
}


def reason_of(provider_code: int) -> DeclineReason | None:
    """The reason for a provider's code; None for one this table does not know (then nothing is decided)."""
    row = _REASONS.get(provider_code)
    return DeclineReason(row[0], row[1]) if row else None


def known_codes() -> frozenset[int]:
    return frozenset(_REASONS)


def message(reason: DeclineReason, locale: str) -> str:
    """Words for the payer, in ``ru`` or ``en``."""
    key = _MESSAGE_KEYS.get((reason.decline_class, reason.code), "L")
    return MESSAGES[key][0 if locale == "ru" else 1]
