"""Proves who a person is by e-mail and password."""

from __future__ import annotations

from datetime import datetime

from shared import logs
from shared.errors import AppError, forbidden, unauthenticated
from user_api.user_service import repository
from user_api.user_service.contacts import normalize_email
from user_api.user_service.database import Sessions
from user_api.user_service.models import User
from user_api.user_service.passwords import Passwords
from user_api.user_service.throttle_login import (
    forgive_attempt,
    given_back_if_untried,
    keys,
    reserve_attempt,
)

log = logs.logger(__name__)


async def log_in(
    sessions: Sessions, hasher: Passwords, *, email: str, password: str, address: str, now: datetime
) -> User:
    """The active user with this e-mail and password.

    Raises ``credentials-invalid`` (401, the same for an unknown e-mail), ``too-many-attempts`` (429) and,
    only to who knows the password, ``account-blocked`` (403).
    """
    normalized = normalize_email(email)
    throttle = keys(normalized, address)
    async with sessions.begin() as session:
        reservation = await reserve_attempt(session, throttle, now)
        user = await repository.find_user_by_email(session, normalized)
    async with given_back_if_untried(sessions, reservation, now):
        # No transaction is open while the hash is computed or waited for.
        right, rehashed = await hasher.verify(password, user.password_hash if user is not None else None)
        if user is None or not right or user.status == "erased":
            log.warning("login-failed", user_id=str(user.id) if user is not None else None)
            raise credentials_invalid()
        async with sessions.begin() as session:
            await forgive_attempt(session, throttle, reservation, now)
            current = await repository.lock_user(session, user.id)
            if current.password_hash != user.password_hash:
                raise credentials_invalid()  # changed while this log-in was being verified
            if rehashed is not None:
                current.password_hash = rehashed
    if current.status != "active":
        log.warning("login-refused", user_id=str(current.id), status=current.status)
        raise forbidden("account-blocked", "This account is blocked. Write to support.")
    log.info("login-succeeded", user_id=str(current.id))
    return current


def credentials_invalid() -> AppError:
    return unauthenticated("credentials-invalid", "The e-mail or the password is not right.")
