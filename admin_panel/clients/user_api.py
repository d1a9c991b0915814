"""What AdminPanel asks of UserAPI: block, unblock, end sessions."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal
from uuid import UUID

from admin_panel.settings import settings
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
