"""Every time-out and limit of PayAPI's waiting, in one table (seconds); a test checks it."""

from __future__ import annotations

from typing import Final

from shared.idempotent_route import RELEASE_SECONDS

# A user waits for UserAPI 28 s = 2 s for BillingAPI + 25 s for PayAPI + 1 s of its own.

# One request of PayAPI, whatever it waits for, all together: connections, locks, the provider. What is left
# of it bounds each wait below. Then what was begun is undone and the key is free again.
REQUEST: Final = 24.0
UNDOING: Final = RELEASE_SECONDS
# The whole conversation with the provider, turns and repeats included, and what it leaves of the request's
# time to write the verdict. With less than the least nothing is sent: the answer could not be heard.
PROVIDER_CONNECT: Final = 2.0
PROVIDER_CALL: Final = 23.0
PROVIDER_LEAST: Final = 3.0
SETTLING: Final = 1.0
# A page waits for the provider's public key at most so long.
CARD_KEY_CALL: Final = 5.0
# For a free connection, each time one is asked for: when there is none the caller hears 503 so soon.
DATABASE_POOL: Final = 2.0

# After so many calls in a row without an answer nothing new is sent to the provider for so long.
BREAKER_FAILURES: Final = 5
BREAKER_OPEN: Final = 15.0
