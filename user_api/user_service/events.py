"""Writes the events of a user into the outbox, each with the user's full state."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from shared.queue import outbox
from shared.queue.messages.users import UserState
from user_api.user_service import repository
from user_api.user_service.models import User

SOURCE: Final = "user-api"


async def add_user_event(session: AsyncSession, event_type: str, user: User, now: datetime) -> None:
    """Adds ``event_type`` in the transaction of the change; the user's row must be locked or new."""
    await session.flush()
    state = UserState(
        user_id=user.id,
        status=user.status,  # the column's CHECK allows the words of UserState
        locale=user.locale,
        time_zone=user.time_zone,
        token_epoch=user.token_epoch,
        revoked_families=list(await repository.list_revoked_families(session, user, now)),
        email_confirmed=user.email_confirmed_at is not None,
        created_at=user.created_at,
        updated_at=user.updated_at,
    )
    await outbox.add_async(session, SOURCE, event_type, user.id, state, now)
