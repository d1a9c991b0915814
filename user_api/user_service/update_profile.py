"""Changes a user's profile and contacts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import conflict
from user_api.user_service import repository
from user_api.user_service.contacts import normalize_email
from user_api.user_service.database import Sessions
from user_api.user_service.events import add_user_event
from user_api.user_service.messages import Kind, add_message, retire_messages
from user_api.user_service.models import User

CHANGEABLE: Final = frozenset({"email", "full_name", "phone", "locale", "time_zone"})


async def update_profile(
    sessions: Sessions, user_id: UUID, changes: Mapping[str, str | None], now: datetime
) -> User:
    """The user after ``changes`` (validated; names of ``CHANGEABLE``), with ``user.updated`` if any.

    A new e-mail is unconfirmed: a link goes to it and a notice to the former one.

    Raises ``email-taken`` (409).
    """
    assert CHANGEABLE.issuperset(changes), "a route passes only what a user may change"
    try:
        async with sessions.begin() as session:
            user = await repository.lock_user(session, user_id)
            effective = {name: value for name, value in changes.items() if getattr(user, name) != value}
            former_email = user.email
            for name, value in effective.items():
                setattr(user, name, value)
            if effective:
                user.email_normalized = normalize_email(user.email)
                user.updated_at = now
                if normalize_email(former_email) != user.email_normalized:
                    await _move_mail(session, user, former_email, now)
                await add_user_event(session, "user.updated", user, now)
    except IntegrityError as error:
        raise conflict("email-taken", "There is an account with this e-mail already.") from error
    return user


async def _move_mail(session: AsyncSession, user: User, former_email: str, now: datetime) -> None:
    """The new address has yet to be confirmed; the old one is told, and its links work no more."""
    user.email_confirmed_at = None
    await retire_messages(session, user.id, Kind.PASSWORD_RESET, now)
    await add_message(session, Kind.EMAIL_CONFIRMATION, user, now)
    await add_message(session, Kind.EMAIL_CHANGED, user, now, address=former_email)
