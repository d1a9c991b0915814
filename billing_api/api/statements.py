"""Forms the statement's JSON from BillingService's statement."""

from datetime import date
from typing import Any
from uuid import UUID


def statement_body(user_id: UUID, first_on: date | None, last_on: date | None) -> dict[str, Any]:
    return {}
