"""Stops a periodic run in production when the host's clock and the database's differ (architecture §4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from billing_api.billing_service.database import cursor
from billing_api.config import wiring
from billing_api.settings import settings
from shared.errors import unavailable

MAX_SKEW: Final = timedelta(seconds=2)


def refuse_skew() -> None:
    """Raises ``clock-skewed`` (503). Outside production the suite's clock is moved on purpose."""
    if not settings().is_production:
        return
    with cursor() as database:
        database.execute("SELECT clock_timestamp()")
        (theirs,) = database.fetchone()
    if abs(theirs - wiring.clock().now()) > MAX_SKEW:
        raise unavailable("clock-skewed", "The clocks of this host and of the database differ.", 60)
