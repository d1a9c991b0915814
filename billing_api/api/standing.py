"""Whether a verified token still stands: what UserAPI's events said of the user's sessions."""

from __future__ import annotations

from billing_api.billing_service.models import TokenState
from shared.auth import EndUser
from shared.errors import forbidden, unauthenticated


def refuse_revoked(user: EndUser) -> None:
    """Raises ``session-ended`` (401) for an older epoch or an ended session, ``account-blocked`` (403)."""
    known = TokenState.objects.filter(user_id=user.user_id).first()
    if known is None:
        return
    if user.epoch < known.token_epoch or str(user.family_id) in known.revoked_families:
        raise unauthenticated("session-ended", "This session has ended. Sign in again.")
    if known.is_blocked:
        raise forbidden("account-blocked", "This account is blocked.")
