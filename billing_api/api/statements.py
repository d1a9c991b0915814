"""The statement's range when the caller names none: the last 30 days of the account's zone."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from billing_api.billing_service.models import Account
from billing_api.billing_service.statement import make_statement, statement_view
from billing_api.config import wiring
from shared.errors import invalid
from shared.period import day_in_zone

USUAL_DAYS: Final = 30
_MAX_DAYS: Final = 3660
_FIRST_DAY: Final = date(2000, 1, 1)
_LAST_DAY: Final = date(2999, 12, 31)


def statement_body(user_id: UUID, from_on: date | None, to_on: date | None) -> dict[str, Any]:
    """The statement's JSON; both days are included. Raises ``range-invalid`` (422)."""
    zone = Account.objects.filter(user_id=user_id).values_list("time_zone", flat=True).first()
    to_on = to_on or day_in_zone(wiring.clock().now(), zone or "Europe/Moscow")
    if not _FIRST_DAY <= to_on <= _LAST_DAY:
        raise invalid("range-invalid", "There is no statement of such a day.")
    from_on = from_on or to_on - timedelta(days=USUAL_DAYS)
    if (to_on - from_on).days > _MAX_DAYS:
        raise invalid("range-invalid", "A statement covers at most ten years.")
    return statement_view(make_statement(user_id, from_on, to_on))
