"""What AdminPanel asks of UserAPI: block, unblock, end sessions, and takes there staff's word about money."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal
from uuid import UUID

from admin_panel.settings import settings
from shared.money import Money
from shared.service_client import SyncServiceClient

Order = Literal["block", "unblock", "end-sessions"]


class UserApi:
    """UserAPI's internal routes for staff. Raises AppError as ``shared.service_client`` says."""

    def __init__(self, client: SyncServiceClient) -> None:
        self._client = client

    def act(self, user_id: UUID, order: Order, reason: str, key: UUID) -> dict[str, Any]:
        """Does it once per ``key``; the reason is kept with the account."""
        return self._client.call(
            "POST", f"/internal/v1/users/{user_id}/{order}", json={"reason": reason}, idempotency_key=key
        )

    def payment(self, payment_id: UUID) -> dict[str, Any]:
        """PayAPI's own view of a payment, as it is now."""
        return self._client.call("GET", f"/internal/v1/payments/{payment_id}")

    def confirm_transfer(
        self, payment_id: UUID, amount: Money, reason: str, actor: str, key: UUID
    ) -> dict[str, Any]:
        """A bank transfer was seen; ``key`` is the confirmation's id, it counts once."""
        body = {
            "confirmation_id": str(key),
            "amount": amount.as_json(),
            "reason": reason,
            "actor": actor,
        }
        path = f"/internal/v1/payments/{payment_id}/transfer-confirmations"
        return self._client.call("POST", path, json=body, idempotency_key=key)

    def confirm_refund(
        self, payment_id: UUID, refund_id: UUID, finding: str, reason: str, actor: str, key: UUID
    ) -> dict[str, Any]:
        """The money of a refund that waits for a person was ``sent`` or ``not_sent``."""
        body = {"refund_id": str(refund_id), "finding": finding, "reason": reason, "actor": actor}
        path = f"/internal/v1/payments/{payment_id}/refund-confirmations"
        return self._client.call("POST", path, json=body, idempotency_key=key)

    def settle_review(
        self,
        payment_id: UUID,
        finding: str,
        amount: Money | None,
        transaction_id: str | None,
        reason: str,
        actor: str,
        key: UUID,
    ) -> dict[str, Any]:
        """A payment under review was ``paid`` (``amount``: if not the whole), ``declined`` or ``voided``."""
        body: dict[str, Any] = {"finding": finding, "reason": reason, "actor": actor}
        if amount is not None:
            body["amount"] = amount.as_json()
        if transaction_id is not None:
            body["transaction_id"] = transaction_id
        path = f"/internal/v1/payments/{payment_id}/review-settlements"
        return self._client.call("POST", path, json=body, idempotency_key=key)


@cache
def user_api() -> UserApi:
    """The client of this process."""
    own = settings()
    return UserApi(
        SyncServiceClient(
            "user-api",
            own.user_api_url,
            own.user_api_token.get_secret_value(),
            timeout_seconds=own.user_api_timeout_seconds,
        )
    )
