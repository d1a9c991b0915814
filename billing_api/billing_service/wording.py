"""How amounts, rates and days read in Russian and in English, whatever the locale of the machine."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Final, Literal

from shared.money import EXPONENTS

Language = Literal["ru", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("ru", "en")
NBSP: Final = "\u00a0"
MINUS: Final = "\u2212"
_SYMBOLS: Final = {"RUB": "₽", "USD": "$", "EUR": "€"}
_MONTHS: Final[dict[Language, str]] = {
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "en": "January February March April May June July August September October November December",
}


def language_of(locale: str) -> Language:
    """The language of documents for an account's locale: English for ``en…``, else Russian."""
    return "en" if locale.lower().startswith("en") else "ru"


def number_text(amount_minor: int, currency: str, language: Language) -> str:
    """Minor units as ``−12 999,00`` (ru) or ``−12,999.00`` (en), without the currency."""
    exponent = EXPONENTS.get(currency, 2)
    whole, part = divmod(abs(amount_minor), 10**exponent)
    groups, point = (NBSP, ",") if language == "ru" else (",", ".")
    text = f"{whole:,}".replace(",", groups)
    if exponent:
        text += f"{point}{part:0{exponent}d}"
    return f"{MINUS}{text}" if amount_minor < 0 else text


@lru_cache(maxsize=8192)
def money_text(amount_minor: int, currency: str, language: Language) -> str:
    """``12 999,00 ₽`` (ru), ``RUB 12,999.00`` (en)."""
    number = number_text(amount_minor, currency, language)
    if language == "ru":
        return f"{number}{NBSP}{_SYMBOLS.get(currency, currency)}"
    return f"{currency}{NBSP}{number}"


def rate_text(rate_bp: int, language: Language) -> str:
    """Basis points as ``22 %`` (ru), ``22%`` (en); a fraction only where there is one."""
    whole, part = divmod(rate_bp, 100)
    point, space = (",", NBSP) if language == "ru" else (".", "")
    fraction = f"{point}{part:02d}".rstrip("0") if part else ""
    return f"{whole}{fraction}{space}%"


def day_text(day: date) -> str:
    """``15.03.2026``: read the same in both languages' documents of this seller."""
    return f"{day:%d.%m.%Y}"


def long_day_text(day: date, language: Language) -> str:
    """``15 марта 2026 г.`` (ru), ``15 March 2026`` (en)."""
    month = _MONTHS[language].split()[day.month - 1]
    return f"{day.day} {month} {day.year}{NBSP}г." if language == "ru" else f"{day.day} {month} {day.year}"
