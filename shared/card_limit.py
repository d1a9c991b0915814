"""How often one card may be tried (domain rule 5); a product's dunning policy may name other figures."""

from typing import Final

ATTEMPTS_PER_CARD: Final = 2
WINDOW_HOURS: Final = 24
