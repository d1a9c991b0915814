"""Exchanges a refresh token for the next pair; an old one ends its family (RFC 9700, 4.14)."""

from __future__ import annotations

from datetime import datetime

from shared import logs
from shared.errors import conflict
from shared.failpoints import failpoint
from user_api.cache import RefreshToken, Rotation, Session, SessionStore, refresh_refused
from user_api.user_service import repository
from user_api.user_service.access_tokens import AccessTokens
from user_api.user_service.database import Sessions
from user_api.user_service.end_sessions import REFRESH_REUSE, end_session, forget_in_redis
from user_api.user_service.open_session import Tokens

log = logs.logger(__name__)


async def refresh_session(
    sessions: Sessions, store: SessionStore, access_tokens: AccessTokens, refresh_token: str, now: datetime
) -> Tokens:
    """The next tokens of the session.

    Raises ``refresh-token-invalid`` (401), ``refresh-retry`` (409: rotated a moment ago, by another tab or
    by a request whose answer was lost) and ``sessions-unavailable`` (503).
    """
    token = RefreshToken.parse(refresh_token)
    found = await store.find(token)
    if found is None:
        raise refresh_refused()
    async with sessions() as session:
        # Redis may have come back with older data: the database has the last word.
        alive = await repository.is_session_alive(session, found.user_id, found.family_id, found.epoch)
    if not alive:
        await forget_in_redis(store, found.user_id, [found.family_id])
        raise refresh_refused()
    outcome, following = await store.rotate(token, now)
    match outcome:
        case Rotation.ROTATED:
            failpoint("user.refresh.after_rotate_before_reply")
            access_token = access_tokens.issue(found.user_id, found.family_id, found.epoch)
            return Tokens(access_token, following.reveal())
        case Rotation.RETRY:
            refusal = conflict("refresh-retry", "This token has just been exchanged.")
            refusal.retry_after_seconds = 1
            raise refusal
        case Rotation.REUSED | Rotation.ENDED:
            await _end_family(sessions, store, found, now)
            raise refresh_refused()
        case Rotation.MISSING:
            raise refresh_refused()


async def _end_family(sessions: Sessions, store: SessionStore, found: Session, now: datetime) -> None:
    log.warning("refresh-token-reused", user_id=str(found.user_id), family_id=str(found.family_id))
    await end_session(
        sessions, store, user_id=found.user_id, family_id=found.family_id, reason=REFRESH_REUSE, now=now
    )
