"""Takes over what UserAPI says of a user: language, time zone, ended sessions, erasure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import locks, settlement
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.models import Account, Customer, Subscription, TokenState
from shared.queue.messages.users import UserState


@dataclass(frozen=True, slots=True)
class UserApplied:
    user_id: UUID
    is_newer: bool


def apply_user_event(state: UserState, *, sequence: int, now: datetime) -> UserApplied:
    """Every user gets an account and a token state.

    Erasure deletes the customer row and ends what is live.
    """
    with atomic():
        account = locks.lock_or_open_account(
            state.user_id, locale=state.locale, time_zone=state.time_zone, now=now
        )
        known = TokenState.objects.filter(user_id=state.user_id).first()
        if known is not None and known.sequence >= sequence:
            return UserApplied(state.user_id, False)
        TokenState.objects.update_or_create(
            user_id=state.user_id,
            defaults={
                "sequence": sequence,
                "token_epoch": state.token_epoch,
                "is_blocked": state.status != "active",
                "revoked_families": [str(family) for family in state.revoked_families],
                "updated_at": now,
            },
        )
        _take_profile(account, state, sequence, now)
        if state.status == "erased":
            _erase(account, now)
        return UserApplied(state.user_id, True)


def _take_profile(account: Account, state: UserState, sequence: int, now: datetime) -> None:
    if account.status != "erased":
        account.status = state.status
    if account.profile_sequence <= sequence:
        account.profile_sequence = sequence
        account.locale, account.time_zone = state.locale, state.time_zone
    account.updated_at = now
    account.store("status", "profile_sequence", "locale", "time_zone", "updated_at")


def _erase(account: Account, now: datetime) -> None:
    Customer.objects.filter(account=account).delete()
    for subscription in (
        Subscription.objects.filter(account=account)
        .exclude(status__in=("cancelled", "expired"))
        .order_by("id")
    ):
        settlement.end_subscription(account, subscription, rules.Action.CANCEL, "user erased", now)
