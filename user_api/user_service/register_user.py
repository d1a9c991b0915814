"""Registers a user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from shared.errors import AppError, conflict
from shared.ids import new_id
from user_api.user_service import passwords, repository
from user_api.user_service.contacts import normalize_email
from user_api.user_service.database import Sessions
from user_api.user_service.events import add_user_event
from user_api.user_service.messages import Kind, add_message
from user_api.user_service.models import User


@dataclass(frozen=True, slots=True)
class Registration:
    """Validated input; ``phone`` is E.164, ``time_zone`` an IANA name."""

    email: str
    password: str
    full_name: str | None
    phone: str | None
    locale: str
    time_zone: str


async def register_user(
    sessions: Sessions, hasher: passwords.Passwords, registration: Registration, now: datetime
) -> User:
    """The new user, with ``user.registered`` and a message to confirm the e-mail in the outbox.

    Raises ``password-too-weak`` (422) and ``email-taken`` (409).
    """
    passwords.check_policy(registration.password, registration.email)
    normalized = normalize_email(registration.email)
    async with sessions() as session:  # spares the hash of what will be refused
        if await repository.find_user_by_email(session, normalized) is not None:
            raise _taken()
    user = User(
        id=new_id(),
        email=registration.email,
        email_normalized=normalized,
        password_hash=await hasher.hash(registration.password),
        full_name=registration.full_name,
        phone=registration.phone,
        locale=registration.locale,
        time_zone=registration.time_zone,
        status="active",
        token_epoch=1,
        password_changed_at=now,
        created_at=now,
        updated_at=now,
    )
    try:
        async with sessions.begin() as session:
            session.add(user)
            await add_user_event(session, "user.registered", user, now)
            await add_message(session, Kind.EMAIL_CONFIRMATION, user, now)
    except IntegrityError as error:
        raise _taken() from error  # the only unique thing about a new user is the address
    return user


def _taken() -> AppError:
    return conflict("email-taken", "There is an account with this e-mail already.")
