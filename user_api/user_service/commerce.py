"""What every use case of commerce works with: the database, the clock and the two services it calls."""

from __future__ import annotations

from dataclasses import dataclass

from shared.clock import Clock
from user_api.clients.billing_api import BillingApi
from user_api.clients.pay_api import PayApi
from user_api.user_service.database import Sessions


@dataclass(frozen=True, slots=True)
class Commerce:
    """Built once per process; transactions are opened by the use cases, calls are made between them."""

    sessions: Sessions
    clock: Clock
    pay_api: PayApi
    billing_api: BillingApi
