"""What people typed, as one line: for receipts, banks and reasons, which take nothing else."""

from __future__ import annotations

import unicodedata
from typing import Final

# A line of a fiscal receipt takes no more characters (PayAPI refuses longer ones).
RECEIPT_LABEL_LENGTH: Final = 128
_UNREADABLE: Final = frozenset({"Cc", "Cs"})


def one_line(text: str, most: int | None = None) -> str:
    """Without control characters, blanks and line ends each one space, at most ``most`` characters."""
    if not text.isprintable():  # hardly ever
        text = "".join(" " if unicodedata.category(one) in _UNREADABLE else one for one in text)
    return " ".join(text.split())[:most].rstrip()
