"""Applies the dunning rules to a failed collection: next try, the subscription past due, the event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q

from billing_api.billing_service import events, subscription_terms
from billing_api.billing_service.domain import dunning
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.models import (
    LIVE_ATTEMPTS,
    Account,
    CollectionAttempt,
    Invoice,
    Payment,
    PaymentCancellation,
    Product,
    Subscription,
)
from shared.errors import invalid

# A charge its customer has cancelled is not asked for again on the spot.
CANCELLED_WAIT: Final = timedelta(days=1)


def policy_of(stored: Mapping[str, Any]) -> dunning.DunningPolicy:
    """A product's policy over the defaults. Raises ``dunning-policy-invalid`` for one that makes no sense."""
    given = dict(stored)
    try:
        if "soft_retry_days" in given:
            given["soft_retry_days"] = tuple(int(day) for day in given["soft_retry_days"])
        return dunning.DunningPolicy(**given)
    except (TypeError, ValueError) as error:
        raise invalid("dunning-policy-invalid", f"This dunning policy makes no sense: {error}") from error


def reduced_days_of(product: Product) -> int:
    """Days after the paid time for which the product's reduced rights hold: until its day of cancellation."""
    return policy_of(product.dunning_policy).cancel_day


def take_failure(account: Account, invoice: Invoice, payment: Payment, now: datetime) -> None:
    """A payment of the invoice failed; a customer's own try changes no plan of retries."""
    if invoice.status != "open":
        return
    invoice.collection, invoice.updated_at = "failed", now
    was_collected = invoice.collects_automatically and payment.initiator == "merchant"
    if was_collected:
        _plan(account, invoice, now)
    invoice.store(
        "collection",
        "updated_at",
        "first_failed_at",
        "collection_failures",
        "next_collection_at",
    )
    events.tell_invoice("invoice.payment_failed", account, invoice, now)
    if was_collected:
        _become_past_due(account, invoice, now)


def take_refusal(account: Account, invoice: Invoice, now: datetime) -> None:
    """No consent or no method: nothing more is tried; the invoice stays open for the user to pay."""
    if invoice.status != "open":
        return
    invoice.collection, invoice.updated_at = "failed", now
    invoice.next_collection_at = None
    invoice.collection_failures += 1
    invoice.first_failed_at = invoice.first_failed_at or now
    invoice.store("collection", "updated_at", "next_collection_at", "collection_failures", "first_failed_at")
    events.tell_invoice("invoice.payment_failed", account, invoice, now)
    _become_past_due(account, invoice, now)


def take_withdrawal(invoice: Invoice, payment: Payment, now: datetime) -> None:
    """A queued charge was closed before it began: the next collection run asks again.

    When its consent has ended, that run is refused and dunning begins; when the customer cancelled just this
    charge, it is left in peace for a day.
    """
    if invoice.status != "open" or not invoice.collects_automatically or payment.captured_minor > 0:
        return
    by_customer = PaymentCancellation.objects.filter(payment_id=payment.id).exists()
    invoice.next_collection_at = now + CANCELLED_WAIT if by_customer else now
    invoice.updated_at = now
    invoice.store("next_collection_at", "updated_at")


def _card_attempts(account: Account, invoice: Invoice, card: str) -> list[datetime]:
    """When the card was tried beside the failures of this invoice: its limit holds over all invoices, and
    over what the customer tried with it as well.
    """
    if not card:
        return []
    counted = Q(invoice=invoice, initiator="merchant", status="failed")
    others = Payment.objects.filter(account=account, payment_method_id=card).exclude(counted)
    return list(others.values_list("created_at", flat=True))


def _failures(invoice: Invoice) -> list[dunning.Failure]:
    """Every automatic charge of the invoice that failed, oldest first, whoever began it: UserAPI tries a new
    card at once without a collection attempt of ours.
    """
    settled = dict(
        CollectionAttempt.objects.filter(invoice=invoice, state="failed").values_list("id", "settled_at")
    )
    failures = [
        dunning.Failure(
            settled.get(payment.id) or payment.updated_at,
            dunning.DeclineClass((payment.decline or {}).get("class", "technical")),
            str(payment.payment_method_id or ""),
        )
        for payment in Payment.objects.filter(invoice=invoice, initiator="merchant", status="failed")
    ]
    return sorted(failures, key=lambda one: one.failed_at)


def _plan(account: Account, invoice: Invoice, now: datetime) -> None:
    failures = _failures(invoice)
    invoice.collection_failures += 1
    invoice.first_failed_at = invoice.first_failed_at or now
    decision = None
    if failures:
        assert invoice.subscription is not None
        decision = dunning.decide(
            failures,
            card_attempted_at=_card_attempts(account, invoice, failures[-1].payment_method_id),
            policy=policy_of(invoice.subscription.product.dunning_policy),
        )
    if decision is not None and decision.next is dunning.Next.RETRY:
        invoice.next_collection_at = decision.at
    else:
        invoice.next_collection_at = None


def _become_past_due(account: Account, invoice: Invoice, now: datetime) -> None:
    if invoice.subscription_id is None:
        return
    subscription = Subscription.objects.get(id=invoice.subscription_id)
    value = subscription_terms.as_value(subscription)
    if value.status not in (rules.Status.TRIALING, rules.Status.ACTIVE):
        return
    subscription_terms.take(subscription, rules.fail_payment(value), now)
    subscription.past_due_at = now
    subscription.save(using="billing")
    events.tell_subscription("subscription.past_due", account, subscription, now)


def has_live_attempt(invoice: Invoice) -> bool:
    return CollectionAttempt.objects.filter(invoice=invoice, state__in=LIVE_ATTEMPTS).exists()
