"""Forgets what has outlived its use: keys, ended sessions, log-in counts, messages, handled events."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, text

from shared import idempotency
from user_api.user_service.database import Sessions
from user_api.user_service.models import AccountMessage, RevokedSession
from user_api.user_service.throttle_login import purge_throttle

MESSAGES_KEPT: Final = timedelta(days=30)  # after their link has ended: to answer "was I written to?"
INBOX_KEPT: Final = timedelta(days=60)  # longer than any event can come back from a stream or a redrive


async def purge_expired(sessions: Sessions, now: datetime) -> None:
    """Each kind in its own short transaction."""
    async with sessions.begin() as session:
        await session.execute(text(idempotency.PURGE_SQL), {"before": now - idempotency.KEPT})
    async with sessions.begin() as session:
        await session.execute(delete(RevokedSession).where(RevokedSession.expires_at < now))
    async with sessions.begin() as session:
        await purge_throttle(session, now)
    async with sessions.begin() as session:
        await session.execute(delete(AccountMessage).where(AccountMessage.expires_at < now - MESSAGES_KEPT))
    async with sessions.begin() as session:
        done = text("DELETE FROM inbox WHERE outcome IN ('applied', 'stale') AND handled_at < :before")
        await session.execute(done, {"before": now - INBOX_KEPT})
