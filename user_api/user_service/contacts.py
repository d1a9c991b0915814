"""What a contact may look like and when two of them are the same."""

from __future__ import annotations

import hashlib
import unicodedata
import zoneinfo
from functools import cache
from typing import Final

from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, is_possible_number, parse

LOCALES: Final = ("ru", "en")
DEFAULT_LOCALE: Final = "ru"
DEFAULT_TIME_ZONE: Final = "Europe/Moscow"
_EXPECTED_PHONE: Final = "an international number is expected, for example +79161234567"


def normalize_email(email: str) -> str:
    """The form by which addresses are compared: NFKC, case folded."""
    return unicodedata.normalize("NFKC", email.strip()).casefold()


def hash_email(email: str) -> str:
    """SHA-256 (hex) of the normalised address, for services that compare and must not know."""
    return hashlib.sha256(normalize_email(email).encode()).hexdigest()


def normalize_phone(phone: str) -> str:
    """The number in E.164; raises ValueError when it is not an international number of its country's length.

    Whether its range has been given out is not asked: ranges open faster than a library's table is renewed.
    """
    try:
        number = parse(phone) if phone.strip().startswith("+") else None
    except NumberParseException as error:
        raise ValueError(_EXPECTED_PHONE) from error
    if number is None or number.extension or not is_possible_number(number):
        raise ValueError(_EXPECTED_PHONE)
    return format_number(number, PhoneNumberFormat.E164)


@cache
def time_zones() -> frozenset[str]:
    """Names of the IANA database."""
    return frozenset(zoneinfo.available_timezones()) - {"Factory", "localtime", "posixrules"}


def check_time_zone(name: str) -> str:
    """The name itself; raises ValueError for one that IANA does not know."""
    if name not in time_zones():
        raise ValueError("an IANA time zone is expected, for example Europe/Moscow")
    return name
