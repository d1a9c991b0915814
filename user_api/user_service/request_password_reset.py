"""Asks for a message with a link by which a forgotten password is replaced."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from user_api.user_service import repository
from user_api.user_service.contacts import normalize_email
from user_api.user_service.database import Sessions
from user_api.user_service.messages import Kind, add_message
from user_api.user_service.models import AccountMessage

# Of one account: nobody's mailbox is filled by a stranger, and a lost letter can be asked for again soon.
LEAST_GAP: Final = timedelta(minutes=1)
MOST_AN_HOUR: Final = 5


async def request_password_reset(sessions: Sessions, email: str, now: datetime) -> None:
    """Adds the message, or does nothing when there is none to send: whoever asked must not be told which."""
    async with sessions.begin() as session:
        found = await repository.find_user_by_email(session, normalize_email(email))
        if found is None or found.status != "active":
            return
        user = await repository.lock_user(session, found.id)
        if user.status == "active" and await may_send(session, user.id, Kind.PASSWORD_RESET, now):
            await add_message(session, Kind.PASSWORD_RESET, user, now)


async def may_send(session: AsyncSession, user_id: UUID, kind: Kind, now: datetime) -> bool:
    """Whether the account's messages of this kind are few enough; the user's row must be locked."""
    row = (
        await session.execute(
            select(func.count(), func.max(AccountMessage.created_at)).where(
                AccountMessage.user_id == user_id,
                AccountMessage.kind == kind.value,
                AccountMessage.created_at > now - timedelta(hours=1),
            )
        )
    ).one()
    sent, latest = int(row[0]), row[1]
    return sent < MOST_AN_HOUR and (latest is None or now - latest >= LEAST_GAP)
