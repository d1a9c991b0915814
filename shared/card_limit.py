"""How often one card may be tried (domain rule 5); a product's dunning policy may name other figures."""

from dataclasses import dataclass
from typing import Final

ATTEMPTS_PER_CARD: Final = 2
WINDOW_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class CardLimit:
    """At most ``attempts`` that are not paid in any ``window_hours``."""

    attempts: int = ATTEMPTS_PER_CARD
    window_hours: int = WINDOW_HOURS


CARD_LIMIT: Final = CardLimit()
