"""Has a signed-in user prove the password again before something that matters."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from shared.errors import forbidden, not_found
from user_api.user_service import repository
from user_api.user_service.database import Sessions
from user_api.user_service.models import User
from user_api.user_service.passwords import Passwords
from user_api.user_service.throttle_login import forgive_attempt, keys, reserve_attempt


async def confirm_password(
    sessions: Sessions, hasher: Passwords, *, user_id: UUID, password: str, address: str, now: datetime
) -> User:
    """The user. Raises ``password-incorrect`` (403) and, counted with log-ins, ``too-many-attempts``."""
    async with sessions.begin() as session:
        user = await repository.find_user(session, user_id)
        if user is None:
            raise not_found("user")
        throttle = keys(user.email_normalized, address)
        counted_under = await reserve_attempt(session, throttle, now)
    right, _ = await hasher.verify(password, user.password_hash)
    if not right:
        raise forbidden("password-incorrect", "This is not the current password.")
    async with sessions.begin() as session:
        await forgive_attempt(session, throttle, counted_under, now)
    return user
