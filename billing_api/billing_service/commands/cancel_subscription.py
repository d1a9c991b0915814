"""Cancels a subscription: at the period's end, or now, with or without refund of the unused days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from billing_api.billing_service import changes, crediting, events, orders, settlement, subscription_terms
from billing_api.billing_service.actors import SYSTEM, Actor, record
from billing_api.billing_service.commands.abandon_subscription import hold_subscription
from billing_api.billing_service.commands.cancel_payment import refuse_while_open
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import proration
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.models import Account, Invoice, Payment, Subscription
from billing_api.billing_service.numbering import Documents
from billing_api.billing_service.paid_days import paid_run
from shared.errors import conflict
from shared.money import Money
from shared.period import day_in_zone


@dataclass(frozen=True, slots=True)
class SubscriptionCancelled:
    """``credited``: what the unused days were worth; ``to_card`` of it goes back to the card."""

    subscription_id: UUID
    status: str
    cancel_at_period_end: bool
    credited: Money
    to_card: Money


@dataclass(frozen=True, slots=True)
class _Credit:
    """A part of an invoice that is credited, and how much of it the card can get back."""

    invoice: Invoice
    amount_minor: int
    payment: Payment | None
    to_card_minor: int


def cancel_subscription(
    subscription_id: UUID,
    *,
    mode: Literal["period_end", "now"] = "period_end",
    refund_unused: bool = False,
    user_id: UUID | None = None,
    actor: Actor = SYSTEM,
    reason: str = "asked by the user",
    preview: bool = False,
    now: datetime,
) -> SubscriptionCancelled:
    """``period_end`` can be undone until then. ``preview`` decides and writes nothing.

    Raises ``subscription-not-found``, ``subscription-transition-refused``, ``incomplete-subscription``
    (abandon it instead), ``cancellation-open``.
    """
    with atomic():
        subscription = hold_subscription(subscription_id, user_id)
        account = subscription.account
        _refuse_incomplete(subscription)
        value = subscription_terms.as_value(subscription)
        before: dict[str, object] = {
            "status": subscription.status,
            "cancel_at_period_end": subscription.cancel_at_period_end,
        }
        credits: list[_Credit] = []
        if mode == "period_end":
            decided = rules.schedule_cancel(value)
        else:
            refuse_while_open(subscription_id=subscription.id)
            today = day_in_zone(now, subscription.time_zone)
            decided = rules.cancel(value, today=today)
            if refund_unused:
                credits = _unused_back(subscription, today)
        done = _outcome(subscription, decided, credits)
        if preview:
            return done
        if mode == "period_end":
            _schedule(account, subscription, decided, now)
        else:
            documents = Documents(now)
            _end_now(account, subscription, credits, reason, documents, now)
            documents.give_numbers()
        if actor.kind == "staff":
            _audit(actor, reason, subscription, before, done, now)
        return done


def _refuse_incomplete(subscription: Subscription) -> None:
    if subscription.status == "incomplete":
        raise conflict(
            "incomplete-subscription",
            "It is not paid yet; close its payments and abandon it.",
            subscription_id=str(subscription.id),
            invoice_id=str(subscription.latest_invoice_id),
        )


def _outcome(
    subscription: Subscription, decided: rules.Subscription, credits: list[_Credit]
) -> SubscriptionCancelled:
    return SubscriptionCancelled(
        subscription.id,
        decided.status.value,
        decided.cancel_at_period_end,
        Money(sum(one.amount_minor for one in credits), subscription.currency),
        Money(sum(one.to_card_minor for one in credits), subscription.currency),
    )


def _schedule(account: Account, subscription: Subscription, value: rules.Subscription, now: datetime) -> None:
    changes.close(account, subscription, now)
    subscription_terms.take(subscription, value, now)
    subscription.save(using="billing")
    events.tell_subscription("subscription.cancel_scheduled", account, subscription, now)


def _audit(
    actor: Actor,
    reason: str,
    subscription: Subscription,
    before: dict[str, object],
    done: SubscriptionCancelled,
    now: datetime,
) -> None:
    record(
        "cancel_subscription",
        actor,
        reason,
        account=subscription.account,
        subject=("subscription", subscription.id),
        before=before,
        after={"status": done.status, "cancel_at_period_end": done.cancel_at_period_end},
        now=now,
    )


def _end_now(
    account: Account,
    subscription: Subscription,
    credits: list[_Credit],
    reason: str,
    documents: Documents,
    now: datetime,
) -> None:
    for one in credits:
        note = crediting.issue_credit_note(account, one.invoice, one.amount_minor, reason, documents, now)
        if one.payment is not None and one.to_card_minor > 0:
            orders.order_refund(account, one.payment, one.to_card_minor, reason, now, note.id)
    settlement.end_subscription(account, subscription, rules.Action.CANCEL, "cancelled now", now)


def _unused_back(subscription: Subscription, today: date) -> list[_Credit]:
    """What the unused days are worth (domain rule 3), invoice by invoice; while paused the kept ones.

    After a change of product the days were paid by its invoice and, through its credit line, by the one
    before: the newest gives back first, each no more than is left of it.
    """
    period = rules.days_to_be_had(subscription_terms.as_value(subscription), today=today)
    if period is None:
        return []
    run = paid_run(subscription, period, today)
    rest = proration.unused_credit_minor(run.paid, today) if run.paid else 0
    credits = []
    for invoice in run.invoices:
        amount = min(rest, crediting.left_minor(invoice))
        if amount > 0:
            payment = _payment_of(invoice)
            to_card = min(amount, _refundable(payment)) if payment else 0
            credits.append(_Credit(invoice, amount, payment, to_card))
            rest -= amount
    return credits


def _payment_of(invoice: Invoice) -> Payment | None:
    return invoice.payments.filter(allocated_minor__gt=0).order_by("-succeeded_at").first()


def _refundable(payment: Payment) -> int:
    arrived = list(
        payment.refund_rows.exclude(refund_order_id=None).values_list("refund_order_id", flat=True)
    )
    pending = orders.pending_refunds_minor(payment.id, arrived)
    return max(0, payment.captured_minor - payment.refunded_minor - pending)
