"""Reads and locks accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import conflict, not_found
from user_api.user_service.access_tokens import LIFETIME_SECONDS
from user_api.user_service.models import RevokedSession, User


async def find_user(session: AsyncSession, user_id: UUID) -> User | None:
    return await session.get(User, user_id)


async def find_user_by_email(session: AsyncSession, email_normalized: str) -> User | None:
    return await session.scalar(select(User).where(User.email_normalized == email_normalized))


async def lock_user(session: AsyncSession, user_id: UUID) -> User:
    """The user's row, locked until the transaction ends; raises ``user-not-found``."""
    user = await session.scalar(
        select(User).where(User.id == user_id).with_for_update().execution_options(populate_existing=True)
    )
    if user is None:
        raise not_found("user")
    return user


async def hold_user(session: AsyncSession, user_id: UUID) -> None:
    """Keeps the account from being erased until the transaction ends; raises ``user-erased`` (409).

    Whoever begins a payment holds its user: an erasure then either sees the payment or comes first, and the
    payment does not begin (reliability R14).
    """
    held = await session.scalar(
        select(User.id).where(User.id == user_id, User.status != "erased").with_for_update(read=True)
    )
    if held is None:
        raise conflict("user-erased", "This account has been erased.")


async def is_session_alive(session: AsyncSession, user_id: UUID, family_id: UUID, epoch: int) -> bool:
    """Whether an access token's session still holds: active user, current epoch, family not ended."""
    ended = exists().where(RevokedSession.family_id == family_id)
    found = await session.scalar(
        select(User.id).where(User.id == user_id, User.status == "active", User.token_epoch == epoch, ~ended)
    )
    return found is not None


async def list_revoked_families(session: AsyncSession, user: User, now: datetime) -> Sequence[UUID]:
    """Families ended one by one whose access tokens could still be unexpired.

    Families of older epochs are left out: their tokens are refused by the epoch.
    """
    found = await session.scalars(
        select(RevokedSession.family_id)
        .where(
            RevokedSession.user_id == user.id,
            RevokedSession.epoch == user.token_epoch,
            RevokedSession.revoked_at > now - timedelta(seconds=LIFETIME_SECONDS + 30),
        )
        .order_by(RevokedSession.revoked_at)
    )
    return found.all()


async def read_event_sequence(session: AsyncSession, user_id: UUID) -> int:
    """The sequence of the user's newest event (0 before the first)."""
    found = await session.scalar(
        text(
            "SELECT sequence FROM aggregate_sequence"
            " WHERE aggregate_type = 'user' AND aggregate_id = :user_id"
        ),
        {"user_id": user_id},
    )
    return int(found or 0)
