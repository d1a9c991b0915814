"""Changes a password; every session opened with the old one ends."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from shared.errors import conflict
from user_api.cache import SessionStore
from user_api.user_service import repository
from user_api.user_service.confirm_password import confirm_password
from user_api.user_service.database import Sessions
from user_api.user_service.end_sessions import forget_in_redis
from user_api.user_service.events import add_user_event
from user_api.user_service.messages import Kind, add_message, retire_messages
from user_api.user_service.models import User
from user_api.user_service.passwords import Passwords, check_policy


async def change_password(
    sessions: Sessions,
    store: SessionStore,
    hasher: Passwords,
    *,
    user_id: UUID,
    current_password: str,
    new_password: str,
    address: str,
    now: datetime,
) -> User:
    """The user with a raised token epoch and ``user.sessions_revoked`` written; open a new session next.

    Raises ``password-incorrect`` (403), ``too-many-attempts`` (429), ``password-too-weak`` (422).
    """
    confirmed = await confirm_password(
        sessions, hasher, user_id=user_id, password=current_password, address=address, now=now
    )
    check_policy(new_password, confirmed.email)
    hashed = await hasher.hash(new_password)
    async with sessions.begin() as session:
        user = await repository.lock_user(session, user_id)
        if user.password_hash != confirmed.password_hash:
            raise conflict("password-changed-meanwhile", "The password has just been changed elsewhere.")
        user.password_hash = hashed
        user.password_changed_at = user.updated_at = now
        user.token_epoch += 1
        await retire_messages(session, user_id, Kind.PASSWORD_RESET, now)
        await add_user_event(session, "user.sessions_revoked", user, now)
        await add_message(session, Kind.PASSWORD_CHANGED, user, now)
    await forget_in_redis(store, user_id, None)
    return user
