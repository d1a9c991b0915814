"""Replaces a forgotten password by the secret of a link; every session ends, and none is opened."""

from __future__ import annotations

from datetime import datetime

from shared import logs
from user_api.cache import SessionStore
from user_api.user_service import repository
from user_api.user_service.database import Sessions
from user_api.user_service.end_sessions import forget_in_redis
from user_api.user_service.events import add_user_event
from user_api.user_service.messages import Kind, add_message, find_by_secret, link_invalid, redeem
from user_api.user_service.passwords import Passwords, check_policy
from user_api.user_service.throttle_login import lift_throttle

log = logs.logger(__name__)


async def reset_password(
    sessions: Sessions, store: SessionStore, hasher: Passwords, secret: str, new_password: str, now: datetime
) -> None:
    """Single use. Raises ``link-invalid`` (422) and ``password-too-weak`` (422), which leaves the link good.

    Who holds the link reads the account's mail: the address counts as confirmed, and guesses of others at
    the old password do not keep the owner out.
    """
    async with sessions() as session:
        message = await find_by_secret(session, Kind.PASSWORD_RESET, secret, now)
        owner = await repository.find_user(session, message.user_id)
    if owner is None:
        raise link_invalid()
    check_policy(new_password, owner.email)
    hashed = await hasher.hash(new_password)
    async with sessions.begin() as session:
        user = await redeem(session, Kind.PASSWORD_RESET, secret, now)
        user.password_hash = hashed
        user.password_changed_at = user.updated_at = now
        user.email_confirmed_at = user.email_confirmed_at or now
        user.token_epoch += 1
        await lift_throttle(session, user.email_normalized, now)
        await add_user_event(session, "user.sessions_revoked", user, now)
        await add_message(session, Kind.PASSWORD_CHANGED, user, now)
    log.warning("password-reset", user_id=str(user.id))
    await forget_in_redis(store, user.id, None)
