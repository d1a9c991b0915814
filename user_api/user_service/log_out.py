"""Ends the session a refresh token belongs to."""

from __future__ import annotations

from datetime import datetime

from user_api.cache import RefreshToken, SessionStore
from user_api.user_service.database import Sessions
from user_api.user_service.end_sessions import end_session


async def log_out(sessions: Sessions, store: SessionStore, refresh_token: str, now: datetime) -> None:
    """Without effect for a session that is over; raises ``refresh-token-invalid`` for what is no token."""
    found = await store.find(RefreshToken.parse(refresh_token))
    if found is not None:
        await end_session(
            sessions, store, user_id=found.user_id, family_id=found.family_id, reason="log-out", now=now
        )
