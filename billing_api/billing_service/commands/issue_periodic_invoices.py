"""The billing run: exactly one invoice per subscription and period, however often and parallel it runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.db.models import F, QuerySet

from billing_api.billing_service import (
    changes,
    locks,
    run_endings,
    settlement,
    subscription_terms,
    ticks,
)
from billing_api.billing_service.commands.release_subscription import FAILURES_UNTIL_SET_ASIDE
from billing_api.billing_service.database import atomic, rerun
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.domain.due import due_renewals
from billing_api.billing_service.domain.pricing import LineInput
from billing_api.billing_service.invoicing import Terms, issue_invoice
from billing_api.billing_service.models import (
    Account,
    BillingRun,
    OutgoingOrder,
    PendingChange,
    RunItem,
    Subscription,
)
from billing_api.billing_service.numbering import Documents
from billing_api.billing_service.prices import take_new_price
from billing_api.billing_service.pricing_inputs import Sale
from billing_api.billing_service.reports import BILLING_SET_ASIDE, report
from shared.database_errors import refusal_of
from shared.errors import AppError, invalid, not_found
from shared.failpoints import failpoint
from shared.period import Period, day_in_zone

SHARD_SIZE: Final = 100
MISSED_PERIODS_CAP: Final = 12  # in one run; more are reported and left to the next
DUE_DAYS: Final = 3  # until an unpaid renewal is overdue


@dataclass(frozen=True, slots=True)
class BillingRunStarted:
    """``run_id`` None: nothing is due up to ``as_of``."""

    run_id: UUID | None
    as_of: datetime
    due: int
    shards: int
    status: str


@dataclass(frozen=True, slots=True)
class ShardDone:
    """``skipped``: subscriptions that were not due any more."""

    invoices: int
    errors: int
    skipped: int
    total_minor: int


@dataclass(frozen=True, slots=True)
class _Billed:
    invoices: int
    total_minor: int
    cap_reached: bool


class _UndoneOnPurpose(Exception):
    """A dry run takes everything back after it was worked out by the very same code."""

    def __init__(self, billed: _Billed) -> None:
        self.billed = billed


def start_billing_run(
    *, as_of: datetime | None = None, dry_run: bool = False, now: datetime
) -> BillingRunStarted:
    """Lists what is due up to ``as_of`` (now when None) in shards. Raises ``as-of-in-the-future``.

    Ends earlier runs whose shards were lost: what they left is due again.
    """
    moment = as_of or now
    if moment > now:
        raise invalid("as-of-in-the-future", "A run cannot be ahead of the clock.")
    run_endings.close_dead(now)
    with atomic():
        due = list(
            Subscription.objects.filter(
                status__in=("trialing", "active"),
                cancel_at_period_end=False,
                next_invoice_at__lte=moment,
                billing_failures__lt=FAILURES_UNTIL_SET_ASIDE,
            )
            .exclude(id__in=_waiting_for_payapi())
            .order_by("account_id", "id")
            .values_list("id", "account_id")
        )
        if not due:
            if not dry_run:
                ticks.complete("billing", moment, now)
            return BillingRunStarted(None, moment, 0, 0, "finished")
        shards = -(-len(due) // SHARD_SIZE)
        run = BillingRun.objects.create(
            as_of=moment, is_dry=dry_run, status="running", due=len(due), shards=shards, started_at=now
        )
        RunItem.objects.bulk_create(
            [
                RunItem(
                    run=run,
                    account_id=account_id,
                    subscription_id=subscription_id,
                    shard=index // SHARD_SIZE,
                    state="pending",
                )
                for index, (subscription_id, account_id) in enumerate(due)
            ],
            batch_size=1000,
        )
        return BillingRunStarted(run.id, moment, len(due), shards, run.status)


def _waiting_for_payapi() -> QuerySet[PendingChange, UUID]:
    """Subscriptions whose renewal waits until the payments of their change are closed (domain rule 3).

    Until that is known a run could only pass them over, every few seconds anew.
    """
    closing = OutgoingOrder.objects.filter(kind="close_payments", state="pending").values("invoice_id")
    waiting = PendingChange.objects.filter(state="open", timing="now", invoice_id__in=closing)
    return waiting.values_list("subscription_id", flat=True)


def run_billing_shard(run_id: UUID, shard: int, *, now: datetime) -> ShardDone:
    """Works through one shard, one subscription per transaction; safe to repeat and to run in parallel.

    A subscription that fails is kept with its error and stops nobody else; after three failures in a row it
    is set aside and reported. What the database could not do just now is nobody's failure: the next run
    bills it. Raises ``billing-run-not-found``, and what the database raises when it is away.
    """
    run = BillingRun.objects.filter(id=run_id).first()
    if run is None or not 0 <= shard < run.shards:
        raise not_found("billing-run")
    pending = RunItem.objects.filter(run=run, shard=shard, state="pending").order_by("account_id", "id")
    for item_id in list(pending.values_list("id", flat=True)):
        try:
            failpoint("billing.run.mid_batch")
            rerun(partial(_bill_item, run, item_id, now))
        except Exception as error:  # whatever is wrong with one account is kept with it
            rerun(partial(_set_aside, run, item_id, error, now))
    run_endings.finish(run.id, now)
    items = RunItem.objects.filter(run=run, shard=shard)
    return ShardDone(
        invoices=sum(item.invoices for item in items),
        errors=sum(item.state == "error" for item in items),
        skipped=sum(item.state == "skipped" for item in items),
        total_minor=sum(item.total_minor for item in items),
    )


def _bill_item(run: BillingRun, item_id: UUID, now: datetime) -> None:
    with atomic():
        account = locks.lock_account(RunItem.objects.get(id=item_id).account_id)
        item = RunItem.objects.select_for_update().get(id=item_id)
        if item.state != "pending":
            return
        subscription = Subscription.objects.get(id=item.subscription_id)
        documents = Documents(now)
        try:
            with atomic():
                billed = _bill(account, subscription, run.as_of, documents, now)
                if run.is_dry:
                    raise _UndoneOnPurpose(billed)
        except _UndoneOnPurpose as undone:
            billed, documents = undone.billed, Documents(now)
        item.state = "done" if billed.invoices else "skipped"
        item.invoices, item.total_minor = billed.invoices, billed.total_minor
        item.cap_reached, item.settled_at = billed.cap_reached, now
        item.store("state", "invoices", "total_minor", "cap_reached", "settled_at")
        if billed.cap_reached and not run.is_dry:
            report("missed_periods_cap", account, ("subscription", subscription.id), {}, now)
        documents.give_numbers()


def _bill(
    account: Account, subscription: Subscription, as_of: datetime, documents: Documents, now: datetime
) -> _Billed:
    """Invoices every period that began up to ``as_of`` and has no invoice yet, in order."""
    today = day_in_zone(as_of, subscription.time_zone)
    if not _past_changes(account, subscription, today, now):
        return _Billed(0, 0, False)
    due = due_renewals(subscription_terms.as_value(subscription), today=today, cap=MISSED_PERIODS_CAP)
    total = 0
    for period in due.periods:
        value = rules.renew(subscription_terms.as_value(subscription))
        if value.period != period:
            raise ValueError(f"period {period} is not the next one of {subscription.id}")
        is_first = subscription.periods_billed == 0
        take_new_price(subscription, period.start)
        subscription_terms.take(subscription, value, now)
        total += _renew(account, subscription, period, is_first, documents, now)
    if due.periods and subscription.billing_failures:
        Subscription.objects.filter(id=subscription.id).update(billing_failures=0)
    return _Billed(len(due.periods), total, due.cap_reached)


def _past_changes(account: Account, subscription: Subscription, today: date, now: datetime) -> bool:
    """Whether the renewal may go on: a change for the period's end is carried out before it.

    A change that waits for its payment is closed first; until that is known, the renewal waits.
    """
    waiting = changes.open_change(subscription)
    value = subscription_terms.as_value(subscription)
    if waiting is None or not due_renewals(value, today=today, cap=1).periods:
        return True
    if waiting.timing == "now" and waiting.invoice is not None and waiting.invoice.status == "open":
        changes.close_invoice(account, waiting, now)
        return False
    if waiting.timing == "now":
        # Nothing is left that could be paid: it can only have been given up.
        changes.settle(waiting, "lapsed", now)
        return True
    changes.carry_out(account, subscription, waiting, now)
    return True


def _renew(
    account: Account,
    subscription: Subscription,
    period: Period,
    is_first: bool,
    documents: Documents,
    now: datetime,
) -> int:
    line = LineInput(
        key="1",
        product_id=str(subscription.product_id),
        price_id=str(subscription.price_id),
        unit_minor=subscription.unit_minor,
        minimum_minor=subscription.price.minimum_minor or 0,
        period=period,
    )
    sale = Sale(
        account,
        subscription.id,
        subscription.promo_code,
        subscription.currency,
        (line,),
        day_in_zone(now, subscription.time_zone),
    )
    terms = Terms(
        kind="first" if is_first else "renewal",
        due_at=now + timedelta(days=DUE_DAYS),
        period=period,
        collects_automatically=True,
    )
    invoice = issue_invoice(account, subscription, subscription.product, sale, terms, documents, now)
    subscription.latest_invoice_id = invoice.id
    subscription.save(using="billing")
    settlement.settle_if_paid(account, invoice, documents, now)
    subscription.refresh_from_db(using="billing")
    return invoice.total_minor


def _set_aside(run: BillingRun, item_id: UUID, error: Exception, now: datetime) -> None:
    with atomic():
        account = locks.lock_account(RunItem.objects.get(id=item_id).account_id)
        item = RunItem.objects.select_for_update().get(id=item_id)
        if item.state != "pending":
            return
        known = refusal_of(error) or error
        text = str(known) if isinstance(known, AppError) else f"{type(known).__name__}: {known}"
        item.state, item.error, item.settled_at = "error", text[:500], now
        item.store("state", "error", "settled_at")
        if run.is_dry or refusal_of(error) is not None:
            return
        Subscription.objects.filter(id=item.subscription_id).update(
            billing_failures=F("billing_failures") + 1
        )
        failures = Subscription.objects.values_list("billing_failures", flat=True).get(
            id=item.subscription_id
        )
        if failures >= FAILURES_UNTIL_SET_ASIDE:
            detail = {"error": item.error, "run_id": str(run.id)}
            report(BILLING_SET_ASIDE, account, ("subscription", item.subscription_id), detail, now)
