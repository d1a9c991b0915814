"""Has a signed-in user prove the password again before something that matters."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.auth import EndUser
from shared.clock import SystemClock
from shared.errors import forbidden, not_found
from shared.ids import made_at
from user_api.user_service import repository
from user_api.user_service.database import Sessions
from user_api.user_service.models import User
from user_api.user_service.passwords import Passwords
from user_api.user_service.throttle_login import (
    forgive_attempt,
    given_back_if_untried,
    keys,
    reserve_attempt,
)

# How long a sign-in counts as proof that its owner sits there (ASVS 5.0.0, 7.5.1).
PROOF_LIFETIME: Final = timedelta(minutes=5)


def require_recent_proof(user: EndUser) -> None:
    """Passes within ``PROOF_LIFETIME`` of the sign-in; raises ``password-required`` (403) later."""
    # A session is given its id at the sign-in. Both moments are the host's: nobody leaves the keyboard
    # because the suite's clock is moved.
    if SystemClock().now() - made_at(user.family_id) > PROOF_LIFETIME:
        raise forbidden("password-required", "A change of cards needs the current password.")


async def confirm_password(
    sessions: Sessions, hasher: Passwords, *, user_id: UUID, password: str, address: str, now: datetime
) -> User:
    """The user. Raises ``password-incorrect`` (403) and, counted with log-ins, ``too-many-attempts``."""
    async with sessions.begin() as session:
        user = await repository.find_user(session, user_id)
        if user is None:
            raise not_found("user")
        throttle = keys(user.email_normalized, address)
        reservation = await reserve_attempt(session, throttle, now)
    async with given_back_if_untried(sessions, reservation, now):
        right, _ = await hasher.verify(password, user.password_hash)
        if not right:
            raise forbidden("password-incorrect", "This is not the current password.")
        async with sessions.begin() as session:
            await forgive_attempt(session, throttle, reservation, now)
    return user
