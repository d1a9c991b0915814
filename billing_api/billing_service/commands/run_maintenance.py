"""Finds what time alone has made due: expiries, endings, reminders, overdue invoices, stuck cancellations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from billing_api.billing_service import (
    changes,
    events,
    locks,
    orders,
    readings,
    settlement,
    subscription_terms,
    ticks,
)
from billing_api.billing_service.commands.start_subscription import INCOMPLETE_LIFE
from billing_api.billing_service.database import atomic, rerun
from billing_api.billing_service.domain import dunning
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.domain.due import due_ending
from billing_api.billing_service.dunning_plan import policy_of
from billing_api.billing_service.models import (
    Account,
    CollectionAttempt,
    Invoice,
    OutgoingOrder,
    Payment,
    PaymentCancellation,
    PendingChange,
    Product,
    Subscription,
)
from billing_api.billing_service.prices import announced_minor
from shared import logs
from shared.period import day_in_zone

BATCH: Final = 500
log = logs.logger(__name__)
TRIAL_REMINDER: Final = timedelta(days=3)
# UserAPI carries a cancellation out at once; what is still open by then was lost on the way.
REDRIVE_AFTER: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class MaintenanceDone:
    """How many of each kind were moved on; ``is_complete`` False when some could not be: see the log."""

    expiring: int
    ended: int
    trial_reminders: int
    overdue: int
    dunning_ended: int
    cancellations_redriven: int
    changes_lapsing: int
    price_notices: int
    readings: int
    is_complete: bool


class _Sweep(NamedTuple):
    """What may be due, and how a row is moved on; ``is_due`` tells without the lock which cannot be yet."""

    found: QuerySet[Any]
    move_on: Callable[[Account, UUID, datetime], int]
    is_due: Callable[[Any, datetime], bool] = lambda _row, _now: True


def run_maintenance(*, now: datetime) -> MaintenanceDone:
    """Each case in its own transaction, re-checked under the account's lock; safe to repeat.

    Every sweep goes through all it finds. What is wrong with one account is logged and stops no other.
    """
    sweeps = [
        _Sweep(_incomplete(now), _close_incomplete),
        _Sweep(_ending(now), _end, _ends),
        _Sweep(_trials_ending(now), _remind),
        _Sweep(_overdue(now), _mark_overdue),
        _Sweep(_given_up(now), _give_up),
        _Sweep(_stuck(now), _redrive),
        _Sweep(_lapsing(now), _lapse),
        _Sweep(_priced_anew(), _notice),
        _Sweep(readings.overdue_attempts(now), _read),
        _Sweep(readings.overdue_orders(now), _read_again),
        _Sweep(readings.paid_without_event(now), _read_again),
    ]
    counts, failures = [], 0
    for sweep in sweeps:
        moved = 0
        for row in _rows(sweep.found):
            if not sweep.is_due(row, now):
                continue
            try:
                moved += rerun(partial(_move_on, sweep.move_on, row.account_id, row.id, now))
            except (OperationalError, InterfaceError):
                raise  # the database is away: the next tick does it all again
            except Exception as error:  # whatever is wrong with one account is left with it
                failures += 1
                log.exception("maintenance-failed", row_id=str(row.id), error=type(error).__name__)
        counts.append(moved)
    if not failures:
        with atomic():
            ticks.complete("maintenance", now, now)
    expiring, ended, reminders, overdue, given_up, redriven, lapsing, notices, *read = counts
    return MaintenanceDone(
        expiring, ended, reminders, overdue, given_up, redriven, lapsing, notices, sum(read), not failures
    )


def _rows(found: QuerySet[Any]) -> Iterator[Any]:
    """All of it, page by page: rows that must wait stay due and are passed by."""
    ordered, rest = found.order_by("account_id", "id"), Q()
    while page := list(ordered.filter(rest)[:BATCH]):
        yield from page
        if len(page) < BATCH:
            return
        last = page[-1]
        rest = Q(account_id__gt=last.account_id) | Q(account_id=last.account_id, id__gt=last.id)


def _move_on(
    move_on: Callable[[Account, UUID, datetime], int], account_id: UUID, row_id: UUID, now: datetime
) -> int:
    with atomic():
        return move_on(locks.lock_account(account_id), row_id, now)


def _incomplete(now: datetime) -> QuerySet[Any]:
    """A bank transfer takes days: PayAPI ends the wait for it, and then the subscription is due here."""
    awaited = Payment.objects.filter(status="action_required", provider="bank_transfer").values("invoice_id")
    closing = OutgoingOrder.objects.filter(kind="close_payments", state="pending").values("invoice_id")
    return (
        Subscription.objects.filter(status="incomplete", created_at__lte=now - INCOMPLETE_LIFE)
        .exclude(latest_invoice_id__in=closing)
        .exclude(latest_invoice_id__in=awaited.filter(invoice_id__isnull=False))
    )


def _close_incomplete(account: Account, subscription_id: UUID, now: datetime) -> int:
    subscription = Subscription.objects.get(id=subscription_id)
    if subscription.status != "incomplete":
        return 0
    still_open = list(subscription.invoices.filter(status="open"))
    for invoice in still_open:
        orders.order_closing(account, invoice, "expire", now)
    if not still_open:
        settlement.end_subscription(account, subscription, rules.Action.EXPIRE, "not paid in time", now)
    return 1


def _ending(now: datetime) -> QuerySet[Any]:
    tomorrow = (now + timedelta(days=1)).date()  # zones ahead of UTC: each row is looked at in its own
    live = Subscription.objects.filter(status__in=("trialing", "active", "past_due"))
    over = Q(kind="recurring", cancel_at_period_end=True, period_end_on__lte=tomorrow)
    term = Q(kind="recurring", term_periods__lte=F("periods_billed"), period_end_on__lte=tomorrow)
    rental = Q(kind="one_time", paid_through_on__lte=tomorrow)
    return live.filter(over | term | rental)


def _ends(subscription: Subscription, now: datetime) -> bool:
    value = subscription_terms.as_value(subscription)
    return due_ending(value, today=day_in_zone(now, subscription.time_zone)) is not None


def _end(account: Account, subscription_id: UUID, now: datetime) -> int:
    subscription = Subscription.objects.get(id=subscription_id)
    value = subscription_terms.as_value(subscription)
    action = due_ending(value, today=day_in_zone(now, subscription.time_zone))
    if action is None:
        return 0
    ends_on = value.period.end if value.period else value.paid_through_on
    settlement.end_subscription(account, subscription, action, "period over", now, on=ends_on)
    return 1


def _trials_ending(now: datetime) -> QuerySet[Any]:
    return Subscription.objects.filter(
        status="trialing",
        cancel_at_period_end=False,
        trial_reminded_at__isnull=True,
        trial_ends_at__lte=now + TRIAL_REMINDER,
    )


def _remind(account: Account, subscription_id: UUID, now: datetime) -> int:
    subscription = Subscription.objects.get(id=subscription_id)
    if subscription.status != "trialing" or subscription.trial_reminded_at is not None:
        return 0
    subscription.trial_reminded_at = now
    subscription.store("trial_reminded_at")
    events.tell_subscription("subscription.trial_will_end", account, subscription, now)
    return 1


def _overdue(now: datetime) -> QuerySet[Any]:
    return (
        Invoice.objects.filter(status="open", due_at__lte=now, overdue_at__isnull=True)
        .exclude(subscription__status="incomplete")
        .exclude(kind="change")  # closed at that moment instead
        .exclude(collection="processing")
    )


def _mark_overdue(account: Account, invoice_id: UUID, now: datetime) -> int:
    invoice = Invoice.objects.get(id=invoice_id)
    if invoice.status != "open" or invoice.overdue_at is not None or invoice.collection == "processing":
        return 0
    invoice.collection, invoice.overdue_at, invoice.updated_at = "overdue", now, now
    invoice.store("collection", "overdue_at", "updated_at")
    events.tell_invoice("invoice.overdue", account, invoice, now)
    return 1


def _given_up(now: datetime) -> QuerySet[Any]:
    """Each product's own day of cancellation, so that a long policy keeps no short one waiting."""
    own: dict[int, list[UUID]] = defaultdict(list)
    for product_id, policy in Product.objects.exclude(dunning_policy={}).values_list("id", "dunning_policy"):
        own[policy_of(policy).cancel_day].append(product_id)
    default = timedelta(days=dunning.DEFAULT_POLICY.cancel_day)
    over = ~Q(product_id__in=[one for ids in own.values() for one in ids]) & Q(past_due_at__lte=now - default)
    for days, product_ids in own.items():
        over |= Q(product_id__in=product_ids, past_due_at__lte=now - timedelta(days=days))
    return Subscription.objects.filter(over, status="past_due")


def _give_up(account: Account, subscription_id: UUID, now: datetime) -> int:
    subscription = Subscription.objects.get(id=subscription_id)
    if subscription.status != "past_due" or subscription.past_due_at is None:
        return 0
    if now < dunning.cancels_at(subscription.past_due_at, policy_of(subscription.product.dunning_policy)):
        return 0
    settlement.end_subscription(account, subscription, rules.Action.CANCEL, "not paid", now, then="write_off")
    return 1


def _priced_anew() -> QuerySet[Any]:
    """Live subscriptions whose price the admin changed with a date, and whose users do not know it yet."""
    announced = Coalesce("price__next_amount_minor", "price__amount_minor")
    live = Subscription.objects.filter(
        kind="recurring", status__in=("trialing", "active", "past_due", "paused")
    )
    unknown = Q(price_noticed_minor__isnull=True) | ~Q(price_noticed_minor=F("announced"))
    return (
        live.filter(price__valid_from_at__isnull=False, price__currency=F("currency"))
        .annotate(announced=announced)
        .filter(unknown & ~Q(unit_minor=F("announced")))
    )


def _notice(account: Account, subscription_id: UUID, now: datetime) -> int:
    subscription = Subscription.objects.select_related("price").get(id=subscription_id)
    announced = announced_minor(subscription)
    if announced is None or announced in (subscription.unit_minor, subscription.price_noticed_minor):
        return 0
    subscription.price_noticed_minor, subscription.price_noticed_at = announced, now
    subscription.store("price_noticed_minor", "price_noticed_at")
    events.tell_subscription("subscription.price_will_change", account, subscription, now)
    return 1


def _lapsing(now: datetime) -> QuerySet[Any]:
    """Unpaid changes whose day is over; one in flight stays listed until its outcome is known."""
    closing = OutgoingOrder.objects.filter(kind="close_payments", state="pending").values("invoice_id")
    return PendingChange.objects.filter(state="open", lapses_at__lte=now).exclude(invoice_id__in=closing)


def _lapse(account: Account, change_id: UUID, now: datetime) -> int:
    change = PendingChange.objects.get(id=change_id)
    if change.state != "open":
        return 0
    return int(changes.close_invoice(account, change, now))


def _stuck(now: datetime) -> QuerySet[Any]:
    waiting = OutgoingOrder.objects.filter(kind="cancellation", state="pending").values("id")
    return (
        PaymentCancellation.objects.filter(state="open", requested_at__lte=now - REDRIVE_AFTER)
        .exclude(id__in=waiting)
        .exclude(id__in=orders.cancellations_by_hand())
    )


def _redrive(account: Account, cancellation_id: UUID, now: datetime) -> int:
    row = PaymentCancellation.objects.get(id=cancellation_id)
    order = OutgoingOrder.objects.filter(id=row.id).first()
    if row.state != "open" or (order is not None and order.state == "pending"):
        return 0
    if order is not None:
        if order.next_try_at > now - REDRIVE_AFTER:
            return 0
        order.state, order.next_try_at = "pending", now
        order.store("state", "next_try_at")
        return 1
    OutgoingOrder.objects.create(
        id=row.id,
        account=account,
        kind="cancellation",
        invoice_id=row.invoice_id,
        payment_id=row.payment_id,
        currency=row.currency,
        amount_minor=row.amount_minor,
        body={"reason": "cancelled by the user"},
        state="pending",
        next_try_at=now,
        created_at=now,
    )
    return 1


def _read(account: Account, attempt_id: UUID, now: datetime) -> int:
    attempt = CollectionAttempt.objects.get(id=attempt_id)
    if attempt.state != "accepted":
        return 0
    ordered = readings.order_reading(account, attempt.id, attempt.invoice_id, "outcome overdue", now)
    return int(ordered is not None)


def _read_again(account: Account, order_id: UUID, now: datetime) -> int:
    order = OutgoingOrder.objects.get(id=order_id)
    if order.state not in ("sent", "pending"):
        return 0
    why = f"{order.kind} without its event"
    return int(readings.order_reading(account, order.payment_id, order.invoice_id, why, now) is not None)
