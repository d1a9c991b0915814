"""Plans automatic collection: for each due open invoice one attempt, to be sent by billing-worker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.db.models import Q

from billing_api.billing_service import dunning_plan, locks, ticks
from billing_api.billing_service.database import atomic, rerun
from billing_api.billing_service.models import Account, CollectionAttempt, Invoice, OutgoingOrder, Payment
from shared.card_limit import CARD_LIMIT, CardLimit
from shared.ids import new_id
from shared.money import allocate
from shared.plain_text import RECEIPT_LABEL_LENGTH, one_line

BATCH: Final = 500
# Missed periods are billed at once but not charged at once: one charge per subscription in this time.
CHARGE_GAP: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class CollectionPlanned:
    attempts: int


def plan_collection(*, now: datetime) -> CollectionPlanned:
    """One live attempt per invoice, the oldest open invoice of a subscription first.

    Safe to repeat and in parallel.
    """
    planned, last = 0, None
    while page := _due_page(now, last):
        for invoice_id, account_id, _ in page:
            planned += rerun(partial(_plan_held, account_id, invoice_id, now))
        last = page[-1]
    with atomic():
        ticks.complete("collection", now, now)
    return CollectionPlanned(planned)


def _due_page(now: datetime, last: tuple[UUID, UUID, datetime] | None) -> list[tuple[UUID, UUID, datetime]]:
    """The next (invoice, account, issued at) due; those that must wait stay due and are passed by."""
    due = Invoice.objects.filter(
        status="open", collects_automatically=True, amount_due_minor__gt=0, next_collection_at__lte=now
    )
    if last is not None:
        invoice_id, account_id, issued_at = last
        same = Q(account_id=account_id)
        due = due.filter(
            Q(account_id__gt=account_id)
            | same & Q(issued_at__gt=issued_at)
            | same & Q(issued_at=issued_at, id__gt=invoice_id)
        )
    return list(
        due.order_by("account_id", "issued_at", "id").values_list("id", "account_id", "issued_at")[:BATCH]
    )


def _plan_held(account_id: UUID, invoice_id: UUID, now: datetime) -> int:
    with atomic():
        return _plan(locks.lock_account(account_id), invoice_id, now)


def _plan(account: Account, invoice_id: UUID, now: datetime) -> int:
    invoice = Invoice.objects.get(id=invoice_id)
    if invoice.status != "open" or invoice.next_collection_at is None or invoice.next_collection_at > now:
        return 0
    if dunning_plan.has_live_attempt(invoice) or not _is_oldest(invoice):
        return 0
    if OutgoingOrder.objects.filter(invoice_id=invoice.id, kind="close_payments", state="pending").exists():
        return 0
    if _charged_lately(invoice, now):
        return 0
    assert invoice.subscription_id is not None
    attempt = CollectionAttempt.objects.create(
        id=new_id(),
        account=account,
        invoice=invoice,
        subscription_id=invoice.subscription_id,
        currency=invoice.currency,
        amount_minor=invoice.amount_due_minor,
        state="planned",
        planned_at=now,
    )
    OutgoingOrder.objects.create(
        id=attempt.id,
        account=account,
        kind="collection",
        invoice_id=invoice.id,
        payment_id=attempt.id,
        currency=invoice.currency,
        amount_minor=invoice.amount_due_minor,
        body={
            "user_id": str(account.user_id),
            "subscription_id": str(invoice.subscription_id),
            "invoice_id": str(invoice.id),
            "amount": {"amount": invoice.amount_due_minor, "currency": invoice.currency},
            "description": invoice.number,
            "receipt": {"lines": _receipt(account, invoice)},
            **_card_limit(invoice),
        },
        state="pending",
        next_try_at=now,
        created_at=now,
    )
    invoice.collection, invoice.next_collection_at, invoice.updated_at = "processing", None, now
    invoice.store("collection", "next_collection_at", "updated_at")
    return 1


def _card_limit(invoice: Invoice) -> dict[str, object]:
    """UserAPI knows the card and holds it to the limit; only a product's own figures are told."""
    assert invoice.subscription is not None
    policy = dunning_plan.policy_of(invoice.subscription.product.dunning_policy)
    limit = CardLimit(policy.attempts_per_card, policy.attempts_window_hours)
    if limit == CARD_LIMIT:
        return {}
    return {"card_limit": {"attempts": limit.attempts, "window_hours": limit.window_hours}}


def _receipt(account: Account, invoice: Invoice) -> list[dict[str, object]]:
    """Lines of the fiscal receipt in the customer's language; they add up to what is charged.

    A description holds what staff typed (a reason, a title): the receipt takes one short line of it.

    What balance, earlier payments or credit notes took of the invoice is spread over its lines exactly.
    """
    language = "ru" if account.locale.startswith("ru") else "en"
    lines = list(invoice.lines.order_by("position"))
    parts = allocate(invoice.amount_due_minor, [line.net_minor for line in lines])
    return [
        {
            "label": one_line(line.description.get(language, ""), RECEIPT_LABEL_LENGTH) or invoice.number,
            "quantity": line.quantity,
            "amount": {"amount": part, "currency": invoice.currency},
            "vat_rate_bp": line.vat_rate_bp,
        }
        for line, part in zip(lines, parts, strict=True)
        if part
    ]


def _is_oldest(invoice: Invoice) -> bool:
    if invoice.period_start_on is None:
        return True
    older = Invoice.objects.filter(
        subscription=invoice.subscription,
        status="open",
        collects_automatically=True,
        period_start_on__lt=invoice.period_start_on,
    )
    return not older.exists()


def _charged_lately(invoice: Invoice, now: datetime) -> bool:
    """Whether another invoice of the subscription was charged by itself within the gap, whoever began it.

    An attempt may be carried out long after it was planned, and UserAPI tries a new card without one.
    """
    assert invoice.subscription_id is not None
    since = now - CHARGE_GAP
    attempts = CollectionAttempt.objects.filter(subscription_id=invoice.subscription_id)
    tried = Q(planned_at__gt=since) | Q(state__in=("succeeded", "failed"), settled_at__gt=since)
    if attempts.exclude(invoice=invoice).exclude(state="withdrawn").filter(tried).exists():
        return True
    # Of the account's payments, which its index finds; the subscription is that of their invoices.
    payments = Payment.objects.filter(
        account_id=invoice.account_id,
        initiator="merchant",
        invoice__subscription_id=invoice.subscription_id,
    )
    charged = Q(created_at__gt=since) | Q(succeeded_at__gt=since)
    return payments.exclude(invoice=invoice).exclude(status="cancelled").filter(charged).exists()
