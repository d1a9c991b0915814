"""Recognises bank card numbers in what people and programs send, so that none is ever taken in."""

from __future__ import annotations

import re
from typing import Final

# 15-19 digits in one piece, or groups of four as they are printed; never inside a longer word, number or
# id. Networks begin with 2-6. What begins with + is a phone.
_CANDIDATE: Final = re.compile(
    rb"(?<![0-9A-Za-z+.-])"
    rb"(?:[2-6][0-9]{14,18}|[2-6][0-9]{3}(?:[ -][0-9]{4}){3}(?:[ -][0-9]{1,3})?)"
    rb"(?![0-9A-Za-z-])"
)


def holds_card_number(data: bytes) -> bool:
    """Whether a piece of the text has the form of a card number and its check digit is right (Luhn)."""
    return any(passes_luhn(found[0]) for found in _CANDIDATE.finditer(data))


def passes_luhn(number: bytes) -> bool:
    """ISO/IEC 7812-1, annex B; blanks and dashes do not count."""
    digits = [byte - 48 for byte in number if 48 <= byte <= 57]
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if position % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
