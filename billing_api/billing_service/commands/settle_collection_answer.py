"""Keeps what became of sending a collection attempt; its outcome comes by event only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from billing_api.billing_service import dunning_plan, locks, orders, settlement
from billing_api.billing_service.answers import OrderAnswer
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.models import (
    LIVE_ATTEMPTS,
    Account,
    CollectionAttempt,
    OutgoingOrder,
    Subscription,
)
from shared.errors import not_found

# Another payment of the invoice is under way: it may succeed and make this one needless.
IN_PROGRESS_WAIT: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class CollectionSettled:
    attempt_id: UUID
    state: str


def settle_collection_answer(attempt_id: UUID, answer: OrderAnswer, *, now: datetime) -> CollectionSettled:
    """``no-consent`` and ``no-method`` are final: the invoice waits for the user; a trial ends, unless its
    product says that the invoice stays open for the user to pay (``trial_without_method``).


    Anything unclear is sent again with the same key. Raises ``collection-attempt-not-found``.
    """
    with atomic():
        known = CollectionAttempt.objects.filter(id=attempt_id).values_list("account_id", flat=True).first()
        if known is None:
            raise not_found("collection-attempt")
        account = locks.lock_account(known)
        attempt = CollectionAttempt.objects.get(id=attempt_id)
        order = OutgoingOrder.objects.get(id=attempt_id)
        if order.state != "pending" or attempt.state not in LIVE_ATTEMPTS:
            return CollectionSettled(attempt.id, attempt.state)
        match answer.outcome:
            case "accepted":
                orders.settle(order, "sent", now)
                attempt.state = "accepted"
                attempt.store("state")
            case "later":
                wait = IN_PROGRESS_WAIT if answer.code == "payment-in-progress" else None
                orders.try_again(order, now, answer.code, wait)
            case "refused":
                orders.settle(order, "refused", now, answer.code)
                _refuse(account, attempt, answer.code, now)
        return CollectionSettled(attempt.id, attempt.state)


def _refuse(account: Account, attempt: CollectionAttempt, code: str, now: datetime) -> None:
    attempt.state, attempt.refusal, attempt.settled_at = "refused", code, now
    attempt.store("state", "refusal", "settled_at")
    invoice = attempt.invoice
    subscription = Subscription.objects.get(id=attempt.subscription_id)
    trial_is_over = subscription.status == "trialing"
    dunning_plan.take_refusal(account, invoice, now)
    if trial_is_over and subscription.product.trial_without_method == "cancel":
        # Nobody agreed to pay for what comes after the trial.
        subscription.refresh_from_db(using="billing")
        settlement.end_subscription(
            account, subscription, rules.Action.CANCEL, "trial ended without a method", now
        )
