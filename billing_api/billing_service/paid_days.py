"""What the running period of a subscription was really paid with, and the days that money still covers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from billing_api.billing_service import crediting
from billing_api.billing_service.domain.proration import PaidDays
from billing_api.billing_service.models import Invoice, PendingChange, Subscription
from shared.period import Period

_FOR_DAYS: Final = ("first", "renewal", "change")


@dataclass(frozen=True, slots=True)
class PaidRun:
    """``period``: the run of days a price of the subscription's interval covers, ending with what is paid.

    ``paid`` is None when nothing was paid for it. ``invoices``: what paid it, the newest first.
    """

    period: Period
    paid: PaidDays | None
    invoices: tuple[Invoice, ...]


def paid_run(subscription: Subscription, period: Period, day: date) -> PaidRun:
    """Counted back from the end of the period, so that a pause or an extension only moves the days.

    Net of discounts and of what was credited since. ``period``: what runs on ``day``, or would if it were
    resumed then.
    """
    start, end = period.start, period.end
    invoices = paid_with(subscription)
    if not invoices:
        return PaidRun(Period(start, end), None, ())
    newest = invoices[0]
    line = newest.lines.filter(kind="charge").order_by("position").first()
    assert line is not None
    assert line.period_start_on is not None
    assert line.period_end_on is not None
    whole = (line.period_end_on - line.period_start_on).days
    tail = whole
    change = PendingChange.objects.filter(invoice=newest).first()
    if change is not None and not change.moves_anchor:
        tail = (line.period_end_on - change.effective_on).days
    lines = crediting.lines_of(newest)
    left = next(one.left_minor for one in lines if one.key == str(line.id))
    # Credited whole, it has taken nothing from the days paid before it: they are covered by that money.
    left -= sum(one.credited_minor for one in lines if one.amount_minor < 0)
    paid = PaidDays(
        str(line.product_id), Period(end - timedelta(days=tail), end), max(0, left), line.vat_rate_bp
    )
    return PaidRun(Period(min(end - timedelta(days=whole), day), end), paid, invoices)


def paid_with(subscription: Subscription) -> tuple[Invoice, ...]:
    """The paid invoices of the running period: its changes, and the one that began it."""
    chain: list[Invoice] = []
    for invoice in _for_days(subscription.id).order_by("-issued_at", "-id"):
        chain.append(invoice)
        if invoice.kind != "change":
            break
    return tuple(chain)


def credited_already_minor(invoice: Invoice, amount_minor: int) -> int:
    """What of an amount given back of an invoice the change of product after it has credited for its days."""
    if invoice.subscription_id is None or invoice.kind not in _FOR_DAYS:
        return 0
    later = Q(issued_at__gt=invoice.issued_at) | Q(issued_at=invoice.issued_at, id__gt=invoice.id)
    following = _for_days(invoice.subscription_id).filter(later).order_by("issued_at", "id").first()
    if following is None or following.kind != "change":
        return 0
    credited = -sum(line.left_minor for line in crediting.lines_of(following) if line.amount_minor < 0)
    return max(0, amount_minor - max(0, crediting.left_minor(invoice) - credited))


def _for_days(subscription_id: UUID) -> QuerySet[Invoice]:
    """The paid invoices for days; one paid too late, or given back since, has changed nothing."""
    idle = PendingChange.objects.filter(subscription_id=subscription_id, invoice__isnull=False).exclude(
        state="done"
    )
    found = Invoice.objects.filter(subscription_id=subscription_id, status="paid", kind__in=_FOR_DAYS)
    return found.exclude(id__in=idle.values("invoice_id"))
