"""Changes of product that wait: carries them out, takes them back after a refund, closes them."""

from __future__ import annotations

from datetime import date, datetime

from billing_api.billing_service import events, orders, subscription_terms
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.domain.undone_change import take_back_change
from billing_api.billing_service.dunning_plan import reduced_days_of
from billing_api.billing_service.models import Account, Invoice, PendingChange, Price, Product, Subscription
from shared.period import Interval, IntervalUnit

# The columns a change of product moves; dates as ISO text in ``terms_before``.
_DATES = ("anchor_on", "period_start_on", "period_end_on", "paid_through_on")
_PLAIN = (
    "unit_minor",
    "interval_unit",
    "interval_count",
    "term_periods",
    "grace_days",
    "next_number",
    "periods_billed",
)
_IDS = ("product_id", "price_id", "latest_invoice_id")
# Those of them that an extension moves.
_RUN = ("anchor_on", "next_number", "period_start_on", "period_end_on", "paid_through_on")


def open_change(subscription: Subscription) -> PendingChange | None:
    """The change of a held subscription that is neither carried out nor closed."""
    return PendingChange.objects.filter(subscription=subscription, state="open").first()


def settle(change: PendingChange, state: str, now: datetime) -> None:
    change.state, change.settled_at = state, now
    change.store("state", "settled_at")


def carry_out(account: Account, subscription: Subscription, change: PendingChange, now: datetime) -> None:
    """The product, its price and its terms become the subscription's; rights move by the event.

    At the boundary the next period is not invoiced yet. Raises ``subscription-transition-refused``.
    """
    value = subscription_terms.as_value(subscription)
    interval = Interval(IntervalUnit(change.interval_unit), change.interval_count)
    grace_days = change.product.grace_days
    if change.timing == "at_period_end":
        decided = rules.change_product_at_boundary(
            value, interval=interval, grace_days=grace_days, term=change.term_periods
        )
    else:
        decided = rules.change_product(
            value,
            interval=interval,
            on=change.effective_on,
            grace_days=grace_days,
            term=change.term_periods,
        )
    given = _days_given_since(change, value) if change.timing == "now" and change.moves_anchor else 0
    if given:
        # Its first period began before them: they follow it, and no undone change gives them twice.
        decided = rules.extend(decided, days=given, today=change.effective_on)
        change.terms_before = terms(subscription) | {name: change.terms_before[name] for name in _RUN}
    else:
        change.terms_before = terms(subscription)
    subscription.product, subscription.price = change.product, change.price
    subscription.unit_minor = change.unit_minor
    subscription.interval_unit, subscription.interval_count = change.interval_unit, change.interval_count
    subscription.grace_days = grace_days
    subscription.reduced_days = reduced_days_of(change.product)
    subscription.price_noticed_minor = subscription.price_noticed_at = None
    if change.invoice_id is not None:
        subscription.latest_invoice_id = change.invoice_id
    subscription_terms.take(subscription, decided, now)
    subscription.save(using="billing")
    change.store("terms_before")
    settle(change, "done", now)
    events.tell_subscription("subscription.changed", account, subscription, now)


def undo(account: Account, subscription: Subscription, invoice: Invoice, now: datetime) -> bool:
    """The payment of a change was given back whole: the terms before it hold again.

    Its credit line was credited back with the invoice, so the days of the old product are paid once more.
    What has been paused or extended since is kept (``take_back_change``).
    """
    change = PendingChange.objects.filter(invoice=invoice, state="done").first()
    if change is None or not change.terms_before:
        return False
    before = change.terms_before
    held = subscription_terms.as_value(subscription)
    for name in (*_PLAIN, *_IDS):
        # A change made before fixed terms were kept has none in its terms.
        setattr(subscription, name, before.get(name))
    for name in _DATES:
        setattr(subscription, name, date.fromisoformat(before[name]) if before[name] else None)
    subscription.product = Product.objects.get(id=before["product_id"])
    subscription.price = Price.objects.get(id=before["price_id"])
    subscription.reduced_days = reduced_days_of(subscription.product)
    earlier = subscription_terms.as_value(subscription)
    # Access and the next invoice follow from what was restored.
    restored = take_back_change(held, earlier, on=change.effective_on)
    subscription_terms.take(subscription, restored, now)
    subscription.save(using="billing")
    settle(change, "undone", now)
    if restored.period is not None:
        move_to(subscription, restored.period.end)
    events.tell_subscription("subscription.changed", account, subscription, now)
    return True


def brings_back(invoice: Invoice) -> Invoice | None:
    """What a subscription stands on again once this change is undone; None: no change carried out."""
    change = PendingChange.objects.filter(invoice=invoice, state="done").first()
    if change is None or not change.terms_before:
        return None
    return Invoice.objects.filter(id=change.terms_before["latest_invoice_id"]).first()


def _days_given_since(change: PendingChange, value: rules.Subscription) -> int:
    """What an extension has given while the change waited for its payment."""
    asked_at = change.terms_before.get("period_end_on")
    if asked_at is None or value.period is None:
        return 0
    return (value.period.end - date.fromisoformat(asked_at)).days


def terms(subscription: Subscription) -> dict[str, object]:
    """The columns that a change of product moves, as JSON."""
    before: dict[str, object] = {name: getattr(subscription, name) for name in _PLAIN}
    for name in _IDS:
        value = getattr(subscription, name)
        before[name] = str(value) if value else None
    for name in _DATES:
        day = getattr(subscription, name)
        before[name] = day.isoformat() if day else None
    return before


def close(account: Account, subscription: Subscription, now: datetime, state: str = "replaced") -> None:
    """Gives an open change up for good; its unpaid invoice is voided through close-payments.

    Money that still arrives for it becomes balance.
    """
    change = open_change(subscription)
    if change is None:
        return
    settle(change, state, now)
    close_invoice(account, change, now)


def give_up_credit(account: Account, invoice: Invoice | None, now: datetime) -> None:
    """Money of the invoice goes back or it is credited: a change that waits may credit the same days.

    It is given up; it can be asked for again, priced with what is left.
    """
    if invoice is None or invoice.subscription_id is None or invoice.kind == "charge":
        return
    if PendingChange.objects.filter(invoice=invoice).exclude(state="done").exists():
        return  # it has paid for no days
    waiting = PendingChange.objects.filter(
        subscription_id=invoice.subscription_id, state="open", invoice__isnull=False
    )
    for change in waiting.exclude(invoice=invoice):
        settle(change, "lapsed", now)
        close_invoice(account, change, now)


def close_invoice(account: Account, change: PendingChange, now: datetime) -> bool:
    """Asks to close the payments of a change's invoice; False when that is on its way or there is none."""
    invoice = change.invoice
    if invoice is None or invoice.status != "open":
        return False
    return orders.order_closing(account, invoice, "void", now) is not None


def lapse(invoice: Invoice, now: datetime) -> None:
    """The invoice of a change was voided or given up: nobody will pay for the change any more."""
    for change in PendingChange.objects.filter(invoice=invoice, state="open"):
        settle(change, "lapsed", now)


def move_to(subscription: Subscription, day: date) -> None:
    """A change at the period's end follows the end when a pause or an extension has moved it."""
    PendingChange.objects.filter(subscription=subscription, state="open", timing="at_period_end").update(
        effective_on=day
    )
