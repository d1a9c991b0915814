"""Every time-out and limit of PayAPI's waiting, in one table (seconds); a test holds it against UserAPI's."""

from __future__ import annotations

from typing import Final

# A user waits for UserAPI 28 s = 2 s for BillingAPI + 25 s for PayAPI + 1 s of its own. PayAPI's whole
# conversation with the provider, turns and repeats included, fits into its 25 s with 2 s for the database.
PROVIDER_CONNECT: Final = 2.0
PROVIDER_CALL: Final = 23.0
# A page waits for the provider's public key at most so long.
CARD_KEY_CALL: Final = 5.0
# For a free connection, each time one is asked for: when there is none the caller hears 503 so soon.
DATABASE_POOL: Final = 2.0

# After so many calls in a row without an answer nothing new is sent to the provider for so long.
BREAKER_FAILURES: Final = 5
BREAKER_OPEN: Final = 15.0
