"""Messages to users: asks for one, hands it to a mailer with a fresh link, redeems the link's secret.

UserAPI sends no mail. A message is a row and an event without contacts or secrets; whoever sends mail
collects address and link. Every collection makes a new secret, so none rests anywhere, and a mailer that died
half-way collects again: the link handed out before is dead then. docs/decisions/0005 says why.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import AppError, conflict, invalid, not_found
from shared.ids import new_id
from shared.queue import outbox
from shared.queue.messages.users import MessageState
from user_api.user_service import repository
from user_api.user_service.contacts import normalize_email
from user_api.user_service.database import Sessions
from user_api.user_service.models import AccountMessage, User

SOURCE: Final = "user-api"
MOST_COLLECTIONS: Final = 5  # of one message: a mailer's retries, not a way to make links at will
_SECRET_BYTES: Final = 32
NOTICE_LIFETIME: Final = timedelta(days=1)


class Kind(StrEnum):
    """What a message says. Only the first two carry a link."""

    PASSWORD_RESET = "password_reset"  # noqa: S105 - a name
    EMAIL_CONFIRMATION = "email_confirmation"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name
    EMAIL_CHANGED = "email_changed"
    SESSION_THEFT_SUSPECTED = "session_theft_suspected"


# How long a link holds, from the moment it was asked for (reliability 4.4: a reset 15 minutes).
LINK_LIFETIME: Final[Mapping[Kind, timedelta]] = {
    Kind.PASSWORD_RESET: timedelta(minutes=15),
    Kind.EMAIL_CONFIRMATION: timedelta(days=3),
}
PAGES: Final[Mapping[Kind, str]] = {
    Kind.PASSWORD_RESET: "/account/reset-password",
    Kind.EMAIL_CONFIRMATION: "/account/confirm-email",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mailer needs. ``link`` is None for a notice; it is never to be stored or logged."""

    message_id: UUID
    kind: Kind
    address: str
    locale: str
    full_name: str | None
    link: str | None
    expires_at: datetime


def hash_of_email(email: str) -> bytes:
    return hashlib.sha256(normalize_email(email).encode()).digest()


def hash_of_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def add_message(
    session: AsyncSession, kind: Kind, user: User, now: datetime, *, address: str | None = None
) -> AccountMessage:
    """A message and ``message.requested``, in the transaction of what it tells of; the user is locked or new.

    An earlier message with a link of the same kind is of no use any more.
    """
    if kind in LINK_LIFETIME:
        await retire_messages(session, user.id, kind, now)
    message = AccountMessage(
        id=new_id(),
        user_id=user.id,
        kind=kind.value,
        address=address,
        email_hash=hash_of_email(user.email),
        collections=0,
        created_at=now,
        expires_at=now + LINK_LIFETIME.get(kind, NOTICE_LIFETIME),
    )
    session.add(message)
    await session.flush()
    state = MessageState(
        message_id=message.id,
        user_id=user.id,
        kind=kind.value,
        locale=user.locale,
        requested_at=now,
        expires_at=message.expires_at,
    )
    await outbox.add_async(session, SOURCE, "message.requested", message.id, state, now)
    return message


async def retire_messages(session: AsyncSession, user_id: UUID, kind: Kind, now: datetime) -> None:
    """No link of this kind works from now on."""
    await session.execute(
        update(AccountMessage)
        .where(
            AccountMessage.user_id == user_id,
            AccountMessage.kind == kind.value,
            AccountMessage.used_at.is_(None),
        )
        .values(used_at=now, token_hash=None, address=None)
    )


async def collect_message(sessions: Sessions, message_id: UUID, public_url: str, now: datetime) -> Letter:
    """Address and a fresh link; the link of an earlier collection stops working.

    Raises ``message-not-found`` (also when the account is not active) and 409 ``message-expired``,
    ``message-over`` (used, replaced by a newer one, or collected too often).
    """
    async with sessions.begin() as session:
        message, user = await _lock(session, message_id)
        if now >= message.expires_at:
            raise conflict("message-expired", "This message is out of date.")
        stale = message.address is None and message.email_hash != hash_of_email(user.email)
        if message.used_at is not None or message.collections >= MOST_COLLECTIONS or stale:
            raise conflict("message-over", "This message is not to be sent any more.")
        kind = Kind(message.kind)
        link = None
        if kind in PAGES:
            secret = secrets.token_urlsafe(_SECRET_BYTES)
            message.token_hash = hash_of_secret(secret)
            link = f"{public_url.rstrip('/')}{PAGES[kind]}?key={secret}"
        message.collections += 1
        message.collected_at = now
        return Letter(
            message_id=message.id,
            kind=kind,
            address=message.address or user.email,
            locale=user.locale,
            full_name=user.full_name,
            link=link,
            expires_at=message.expires_at,
        )


async def list_waiting(session: AsyncSession, now: datetime, limit: int) -> Sequence[AccountMessage]:
    """Messages nobody has collected and whose time has not run out, oldest first."""
    found = await session.scalars(
        select(AccountMessage)
        .where(
            AccountMessage.collected_at.is_(None),
            AccountMessage.used_at.is_(None),
            AccountMessage.expires_at > now,
        )
        .order_by(AccountMessage.id)
        .limit(limit)
    )
    return found.all()


async def _lock(session: AsyncSession, message_id: UUID) -> tuple[AccountMessage, User]:
    """User before message: the order of everybody who changes either."""
    owner = await session.scalar(select(AccountMessage.user_id).where(AccountMessage.id == message_id))
    if owner is None:
        raise not_found("message")
    user = await repository.lock_user(session, owner)
    message = await session.get(AccountMessage, message_id, with_for_update=True, populate_existing=True)
    if message is None or user.status != "active":
        raise not_found("message")
    return message, user


async def find_by_secret(session: AsyncSession, kind: Kind, secret: str, now: datetime) -> AccountMessage:
    """The message whose link holds this secret, not locked; raises ``link-invalid`` (422)."""
    message = await session.scalar(
        select(AccountMessage).where(
            AccountMessage.token_hash == hash_of_secret(secret), AccountMessage.kind == kind.value
        )
    )
    if message is None or message.used_at is not None or now >= message.expires_at:
        raise link_invalid()
    return message


async def redeem(session: AsyncSession, kind: Kind, secret: str, now: datetime) -> User:
    """The active user a link was made for, locked; the link works no second time.

    Raises ``link-invalid`` (422), the same for unknown, used, outdated links and for one that was sent to
    an address the account has no longer.
    """
    found = await find_by_secret(session, kind, secret, now)
    user = await repository.lock_user(session, found.user_id)
    message = await session.get(AccountMessage, found.id, with_for_update=True, populate_existing=True)
    if message is None or message.used_at is not None or message.token_hash != hash_of_secret(secret):
        raise link_invalid()
    if user.status != "active" or message.email_hash != hash_of_email(user.email):
        raise link_invalid()
    message.used_at = now
    return user


def link_invalid() -> AppError:
    return invalid("link-invalid", "This link does not work any more. Ask for a new one.")
