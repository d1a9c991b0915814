"""Applies the dunning rules to a failed collection: next try, the subscription past due, the event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from billing_api.billing_service import events, subscription_terms
from billing_api.billing_service.domain import dunning
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.models import (
    LIVE_ATTEMPTS,
    Account,
    CollectionAttempt,
    Invoice,
    Payment,
    Subscription,
)
from shared.errors import invalid


def policy_of(stored: Mapping[str, Any]) -> dunning.DunningPolicy:
    """A product's policy over the defaults. Raises ``dunning-policy-invalid`` for one that makes no sense."""
    given = dict(stored)
    try:
        if "soft_retry_days" in given:
            given["soft_retry_days"] = tuple(int(day) for day in given["soft_retry_days"])
        if "access_after_grace" in given:
            given["access_after_grace"] = dunning.AccessAfterGrace(given["access_after_grace"])
        return dunning.DunningPolicy(**given)
    except (TypeError, ValueError) as error:
        raise invalid("dunning-policy-invalid", f"This dunning policy makes no sense: {error}") from error


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


def _card_attempts(account: Account, invoice: Invoice, card: str) -> list[datetime]:
    """When the card was tried for other invoices of the account: its limit holds over all of them."""
    if not card:
        return []
    others = Payment.objects.filter(account=account, payment_method_id=card).exclude(invoice=invoice)
    return list(others.values_list("created_at", flat=True))


def _plan(account: Account, invoice: Invoice, now: datetime) -> None:
    failures = [
        dunning.Failure(
            attempt.settled_at or now,
            dunning.DeclineClass((attempt.decline or {}).get("class", "technical")),
            (attempt.decline or {}).get("payment_method_id", ""),
        )
        for attempt in CollectionAttempt.objects.filter(invoice=invoice, state="failed").order_by(
            "settled_at", "id"
        )
    ]
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
