"""Ends sessions for good: first in the Users database, which is final, then in Redis."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from shared import logs
from shared.errors import AppError
from user_api.cache import ABSOLUTE_LIFETIME, SessionStore
from user_api.user_service import repository
from user_api.user_service.database import Sessions
from user_api.user_service.events import add_user_event
from user_api.user_service.messages import Kind, add_message
from user_api.user_service.models import RevokedSession

REFRESH_REUSE: Final = "refresh-reuse"

log = logs.logger(__name__)


async def end_session(
    sessions: Sessions, store: SessionStore, *, user_id: UUID, family_id: UUID, reason: str, now: datetime
) -> None:
    """Ends one family, with ``user.sessions_revoked``; again is without effect.

    When it ends because an old token of it was used, its owner is told by mail (reliability 4.3).
    """
    async with sessions.begin() as session:
        user = await repository.lock_user(session, user_id)
        added = await session.scalar(
            insert(RevokedSession)
            .values(
                family_id=family_id,
                user_id=user_id,
                epoch=user.token_epoch,
                reason=reason,
                revoked_at=now,
                expires_at=now + ABSOLUTE_LIFETIME,
            )
            .on_conflict_do_nothing()
            .returning(RevokedSession.family_id)
        )
        if added is not None:
            await add_user_event(session, "user.sessions_revoked", user, now)
            if reason == REFRESH_REUSE:
                await add_message(session, Kind.SESSION_THEFT_SUSPECTED, user, now)
    await forget_in_redis(store, user_id, [family_id])


async def end_all_sessions(sessions: Sessions, store: SessionStore, *, user_id: UUID, now: datetime) -> None:
    """Raises the token epoch, so that every earlier token is refused, with ``user.sessions_revoked``."""
    async with sessions.begin() as session:
        user = await repository.lock_user(session, user_id)
        user.token_epoch += 1
        user.updated_at = now
        await add_user_event(session, "user.sessions_revoked", user, now)
    await forget_in_redis(store, user_id, None)


async def forget_in_redis(store: SessionStore, user_id: UUID, family_ids: list[UUID] | None) -> None:
    """Tidies Redis after the database has decided; an outage there changes nothing about the decision."""
    try:
        await store.refresh_rights([user_id])
    except AppError as error:
        log.warning("rights-not-refreshed", user_id=str(user_id), code=error.code)
    try:
        await store.forget(user_id, family_ids)
    except AppError as error:
        log.warning("sessions-not-forgotten", user_id=str(user_id), code=error.code)
