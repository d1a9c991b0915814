"""Blocks, unblocks and signs out accounts on behalf of staff and services, with the reason kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.errors import conflict
from shared.ids import new_id
from user_api.cache import SessionStore
from user_api.user_service import repository
from user_api.user_service.database import Sessions
from user_api.user_service.end_sessions import forget_in_redis
from user_api.user_service.events import add_user_event
from user_api.user_service.models import AccountAction, User


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants it for which account, and why."""

    user_id: UUID
    actor: str
    reason: str


def decide_block(user: User) -> bool:
    """Whether blocking changes anything; raises ``user-erased`` (409)."""
    _refuse_erased(user)
    return user.status == "active"


def decide_unblock(user: User) -> bool:
    _refuse_erased(user)
    return user.status == "blocked"


def _refuse_erased(user: User) -> None:
    if user.status == "erased":
        raise conflict("user-erased", "This account has been erased.")


async def block_user(sessions: Sessions, store: SessionStore, order: Order, now: datetime) -> User:
    """Nobody signs in any more and every token is refused (``user.blocked``); again is without effect."""

    def change(user: User) -> None:
        user.status = "blocked"
        user.token_epoch += 1

    user = await _act(sessions, order, now, "user.blocked", decide_block, change)
    await forget_in_redis(store, order.user_id, None)
    return user


async def unblock_user(sessions: Sessions, order: Order, now: datetime) -> User:
    """The user may sign in again (``user.unblocked``); old sessions stay ended."""

    def change(user: User) -> None:
        user.status = "active"

    return await _act(sessions, order, now, "user.unblocked", decide_unblock, change)


async def sign_out_user(sessions: Sessions, store: SessionStore, order: Order, now: datetime) -> User:
    """Ends every session (``user.sessions_revoked``)."""

    def change(user: User) -> None:
        user.token_epoch += 1

    user = await _act(sessions, order, now, "user.sessions_revoked", lambda _: True, change)
    await forget_in_redis(store, order.user_id, None)
    return user


async def _act(
    sessions: Sessions,
    order: Order,
    now: datetime,
    event_type: str,
    decide: Callable[[User], bool],
    change: Callable[[User], None],
) -> User:
    async with sessions.begin() as session:
        user = await repository.lock_user(session, order.user_id)
        if decide(user):
            change(user)
            user.updated_at = now
            session.add(
                AccountAction(
                    id=new_id(),
                    user_id=user.id,
                    actor=order.actor,
                    action=event_type,
                    reason=order.reason,
                    acted_at=now,
                )
            )
            await add_user_event(session, event_type, user, now)
    return user
