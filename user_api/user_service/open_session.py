"""Opens a session for a user whose identity has just been proved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from user_api.cache import SessionStore
from user_api.user_service.access_tokens import LIFETIME_SECONDS, AccessTokens


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client holds; ``expires_in_seconds`` is the access token's life."""

    access_token: str
    refresh_token: str
    expires_in_seconds: int = LIFETIME_SECONDS


async def open_session(
    store: SessionStore,
    access_tokens: AccessTokens,
    now: datetime,
    *,
    user_id: UUID,
    epoch: int,
    user_agent: str,
) -> Tokens:
    """A new family with its first tokens; raises ``sessions-unavailable`` (503)."""
    session, refresh_token = await store.open(user_id, epoch, user_agent, now)
    return Tokens(access_tokens.issue(user_id, session.family_id, epoch), refresh_token.reveal())
