"""How the test cards behave (protocol 4), and what a number tells about its network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pay_api.sandbox.cryptogram import Card
from pay_api.sandbox.reasons import APPROVED, EXPIRED_CARD, INSUFFICIENT_FUNDS, INVALID_CARD_NUMBER


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the issuer does with a card: asks for 3-D Secure, answers now, answers a later token payment."""

    needs_3ds: bool
    reason_code: int
    token_reason_code: int


_OK_3DS: Final = Behaviour(True, APPROVED, APPROVED)
_POOR_3DS: Final = Behaviour(True, INSUFFICIENT_FUNDS, INSUFFICIENT_FUNDS)
_OK: Final = Behaviour(False, APPROVED, APPROVED)
_OK_ONCE: Final = Behaviour(False, APPROVED, INSUFFICIENT_FUNDS)
_POOR: Final = Behaviour(False, INSUFFICIENT_FUNDS, INSUFFICIENT_FUNDS)
_NOT_A_TEST_CARD: Final = Behaviour(False, INVALID_CARD_NUMBER, INVALID_CARD_NUMBER)

_TEST_CARDS: Final[dict[str, Behaviour]] = {
    "4242424242424242": _OK_3DS,
    "5555555555554444": _OK_3DS,
    "2200000000000004": _OK_3DS,
    "4012888888881881": _POOR_3DS,
    "5105105105105100": _POOR_3DS,
    "2202202202202200": _POOR_3DS,
    "4000000000003055": _OK,
    "5205000000003055": _OK,
    "2202000000003055": _OK,
    "4111111111111111": _OK_ONCE,
    "5200828282828210": _OK_ONCE,
    "2200000022222222": _OK_ONCE,
    "4000056655665556": _POOR,
    "5404000000000043": _POOR,
    "2203000000000043": _POOR,
}

# Only Visa 0 is documented; the other numbers are the stand-in's choice.
_NETWORKS: Final = (("4", "Visa", 0), ("5", "MasterCard", 1), ("220", "MIR", 5))


def behaviour_of(pan: str) -> Behaviour:
    """A terminal in test mode knows its test cards alone; any other number is an invalid one."""
    return _TEST_CARDS.get(pan, _NOT_A_TEST_CARD)


def network_of(first_six: str) -> tuple[str, int]:
    """Name and code of the card's network."""
    for prefix, name, code in _NETWORKS:
        if first_six.startswith(prefix):
            return name, code
    return "Unknown", 9


def is_expired(exp_date: str, now: datetime) -> bool:
    """Whether a card of ``MM/YY`` is past the last day of its month (UTC)."""
    month, year = int(exp_date[:2]), 2000 + int(exp_date[3:])
    return (year, month) < (now.year, now.month)


def refusal(card: Card, now: datetime) -> int:
    """The reason code the issuer gives for a payment by this card; 0 approves."""
    if is_expired(card.exp_date, now):
        return EXPIRED_CARD
    return behaviour_of(card.pan).reason_code
