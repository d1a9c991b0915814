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
    Invoice,
    OutgoingOrder,
    Subscription,
)
from billing_api.billing_service.reports import COLLECTION_REFUSED, report, resolve
from shared import logs
from shared.errors import not_found

# The final refusals of a charge; with them nothing more is tried.
NOBODY_AGREED: Final = frozenset({"no-consent", "no-method"})
# What only a correction of ours can change: until when a refused charge is left alone.
FAULT_WAIT: Final = timedelta(hours=1)
# Another payment of the invoice is under way: it may succeed and make this one needless.
IN_PROGRESS_WAIT: Final = timedelta(minutes=1)
_LIMIT_WAIT_SECONDS: Final = 3600

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class CollectionSettled:
    attempt_id: UUID
    state: str


def settle_collection_answer(attempt_id: UUID, answer: OrderAnswer, *, now: datetime) -> CollectionSettled:
    """``no-consent`` and ``no-method`` are final: the invoice waits for the user; a trial ends, unless its
    product says that the invoice stays open for the user to pay (``trial_without_method``).

    Any other refusal is a fault of ours, not of the customer: it begins no dunning, stands among the findings
    (``collection_refused``) until a charge is taken, and a new attempt is made every ``FAULT_WAIT``.
    ``card-limit``: nothing was begun; the invoice is due for collection again when the card may be tried.
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
                resolve(COLLECTION_REFUSED, attempt.invoice_id, now)
            case "later" if answer.code == "card-limit":
                seconds = answer.retry_after_seconds or _LIMIT_WAIT_SECONDS
                _postpone(attempt, order, now + timedelta(seconds=seconds), now)
            case "later":
                wait = IN_PROGRESS_WAIT if answer.code == "payment-in-progress" else None
                orders.try_again(order, now, answer.code, wait)
            case "refused":
                orders.settle(order, "refused", now, answer.code)
                attempt.state, attempt.refusal, attempt.settled_at = "refused", answer.code, now
                attempt.store("state", "refusal", "settled_at")
                if answer.code in NOBODY_AGREED:
                    _wait_for_user(account, attempt, now)
                else:
                    _put_off(account, attempt, now)
        return CollectionSettled(attempt.id, attempt.state)


def _put_off(account: Account, attempt: CollectionAttempt, now: datetime) -> None:
    """Another attempt later, under a key of its own: a refusal is stored with the key it was given to."""
    invoice = attempt.invoice
    if not _due_again(invoice, now + FAULT_WAIT, now):
        return
    if OutgoingOrder.objects.filter(invoice_id=invoice.id, kind="close_payments", state="pending").exists():
        return  # PayAPI has closed the invoice as we asked: it is about to end
    log.error("collection-refused", invoice_id=str(invoice.id), code=attempt.refusal)
    detail = {"code": attempt.refusal, "payment_id": str(attempt.id)}
    report(COLLECTION_REFUSED, account, ("invoice", invoice.id), detail, now)


def _due_again(invoice: Invoice, at: datetime, now: datetime) -> bool:
    """Collected again from then on, as if that attempt had not been; False when the invoice is over."""
    if invoice.status != "open":
        return False
    invoice.next_collection_at, invoice.updated_at = at, now
    if invoice.overdue_at is not None:
        invoice.collection = "overdue"
    elif invoice.collection_failures:
        invoice.collection = "failed"
    else:
        invoice.collection = "partially_paid" if invoice.paid_minor else "none"
    invoice.store("collection", "next_collection_at", "updated_at")
    return True


def _wait_for_user(account: Account, attempt: CollectionAttempt, now: datetime) -> None:
    invoice = attempt.invoice
    resolve(COLLECTION_REFUSED, invoice.id, now)
    subscription = Subscription.objects.get(id=attempt.subscription_id)
    trial_is_over = subscription.status == "trialing"
    dunning_plan.take_refusal(account, invoice, now)
    if trial_is_over and subscription.product.trial_without_method == "cancel":
        # Nobody agreed to pay for what comes after the trial.
        subscription.refresh_from_db(using="billing")
        settlement.end_subscription(
            account, subscription, rules.Action.CANCEL, "trial ended without a method", now
        )


def _postpone(attempt: CollectionAttempt, order: OutgoingOrder, until: datetime, now: datetime) -> None:
    """The card has been tried too often of late, for whatever: no failure of this invoice, no dunning."""
    orders.settle(order, "withdrawn", now, "card-limit")
    attempt.state, attempt.refusal, attempt.settled_at = "withdrawn", "card-limit", now
    attempt.store("state", "refusal", "settled_at")
    _due_again(attempt.invoice, until, now)
