"""Confirms that an account's e-mail is its owner's, by the secret of a link sent there."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from shared.errors import conflict
from user_api.user_service import repository
from user_api.user_service.database import Sessions
from user_api.user_service.events import add_user_event
from user_api.user_service.messages import Kind, add_message, redeem
from user_api.user_service.request_password_reset import may_send
from user_api.user_service.throttle_login import LEAST_WAIT, too_many_attempts


async def confirm_email(sessions: Sessions, secret: str, now: datetime) -> None:
    """Single use; the event is ``user.updated``. Raises ``link-invalid`` (422)."""
    async with sessions.begin() as session:
        user = await redeem(session, Kind.EMAIL_CONFIRMATION, secret, now)
        user.email_confirmed_at = user.updated_at = now
        await add_user_event(session, "user.updated", user, now)


async def request_email_confirmation(sessions: Sessions, user_id: UUID, now: datetime) -> None:
    """Another message to the present address. Raises 409 ``email-confirmed`` and ``too-many-attempts``."""
    async with sessions.begin() as session:
        user = await repository.lock_user(session, user_id)
        if user.email_confirmed_at is not None:
            raise conflict("email-confirmed", "This e-mail has been confirmed already.")
        if not await may_send(session, user_id, Kind.EMAIL_CONFIRMATION, now):
            raise too_many_attempts(LEAST_WAIT)
        await add_message(session, Kind.EMAIL_CONFIRMATION, user, now)
