"""Keeps which account saved which card, and shortens a trial begun by somebody whose card had one already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import events, locks, subscription_terms, trials
from billing_api.billing_service.commands.run_maintenance import TRIAL_REMINDER
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.models import Account, KnownCard, Subscription
from billing_api.billing_service.reports import report
from shared.period import day_in_zone, start_of_day
from shared.queue.messages.payments import PaymentMethodState


@dataclass(frozen=True, slots=True)
class MethodApplied:
    """``shortened``: subscriptions whose trial ends earlier now."""

    payment_method_id: UUID
    is_newer: bool
    shortened: tuple[UUID, ...] = ()


def apply_method_event(state: PaymentMethodState, *, sequence: int, now: datetime) -> MethodApplied:
    """The newest state wins. A trial is one per person also by card: one that runs already, on a card that
    had a trial with another account, goes on for the three days of the reminder and is reported.
    """
    with atomic():
        account = locks.lock_or_open_account(state.user_id, locale="ru", time_zone="Europe/Moscow", now=now)
        held = KnownCard.objects.filter(payment_method_id=state.payment_method_id).first()
        if held is not None and held.sequence >= sequence:
            return MethodApplied(state.payment_method_id, False)
        KnownCard(
            payment_method_id=state.payment_method_id,
            account=account,
            fingerprint=state.fingerprint,
            sequence=sequence,
            is_active=state.status == "active",
            saved_at=state.created_at,
            updated_at=now,
        ).save(using="billing", force_insert=held is None, force_update=held is not None)
        running = list(Subscription.objects.filter(account=account, status="trialing").order_by("id"))
        if not running or not trials.had_by_card(account):
            return MethodApplied(state.payment_method_id, True)
        return MethodApplied(state.payment_method_id, True, _shorten(account, running, now))


def _shorten(account: Account, running: list[Subscription], now: datetime) -> tuple[UUID, ...]:
    shortened = []
    for subscription in running:
        value = subscription_terms.as_value(subscription)
        last_day = day_in_zone(now + TRIAL_REMINDER, subscription.time_zone)
        decided = rules.shorten_trial(value, end_on=last_day)
        if decided == value:
            continue
        before = subscription.trial_ends_at
        subscription_terms.take(subscription, decided, now)
        assert decided.period is not None
        subscription.trial_ends_at = start_of_day(decided.period.end, subscription.time_zone)
        subscription.trial_reminded_at = now
        subscription.save(using="billing")
        events.tell_subscription("subscription.trial_will_end", account, subscription, now)
        detail = {"ended_at_before": before.isoformat() if before else None, "rule": "one trial per card"}
        report("trial_repeated", account, ("subscription", subscription.id), detail, now)
        shortened.append(subscription.id)
    return tuple(shortened)
