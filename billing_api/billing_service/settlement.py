"""What follows when money meets an invoice, when an invoice is closed, and when a subscription ends."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from django.db.models import Min

from billing_api.billing_service import (
    actors,
    changes,
    crediting,
    discount_rules,
    events,
    orders,
    posting,
    subscription_terms,
)
from billing_api.billing_service.domain import invoice as invoice_rules
from billing_api.billing_service.domain import ledger
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.models import Account, Invoice, Payment, PendingChange, Refund, Subscription
from billing_api.billing_service.numbering import Documents
from billing_api.billing_service.reports import DEBT_AFTER_REFUND, report, resolve
from shared.period import Period, day_in_zone

_OVER = ("cancelled", "expired")
# What a subscription stands on; not a change or a correction.
_FOR_A_PERIOD: Final = ("first", "renewal", "purchase")


def allocate(
    account: Account, invoice: Invoice, amount_minor: int, documents: Documents, now: datetime
) -> int:
    """Puts posted money to an open invoice; gives what it took. Settles it when nothing is due any more."""
    taken = min(amount_minor, invoice.amount_due_minor)
    invoice.paid_minor += taken
    invoice.amount_due_minor -= taken
    invoice.updated_at = now
    if invoice.amount_due_minor > 0:
        invoice.collection = invoice_rules.Collection.PARTIALLY_PAID.value
    invoice.store("paid_minor", "amount_due_minor", "collection", "updated_at")
    return taken


def ask_again(
    account: Account, invoice: Invoice, payment: Payment, refund: Refund, amount_minor: int, now: datetime
) -> None:
    """Money of an invoice that was not paid yet went back: it is due again, or given up with the rest."""
    if amount_minor <= 0:
        return
    # The payment's books stay whole: what left the invoice counts as the balance that the refund took.
    payment.allocated_minor -= amount_minor
    payment.to_balance_minor += amount_minor
    payment.store("allocated_minor", "to_balance_minor")
    invoice.paid_minor -= amount_minor
    if invoice.status == "open":
        invoice.amount_due_minor += amount_minor
        if invoice.paid_minor == 0 and invoice.collection == "partially_paid":
            invoice.collection = "overdue" if invoice.overdue_at else "none"
    else:
        invoice.written_off_minor += amount_minor
        posting.post(
            ledger.debt_written_off(refund.id, account.id, invoice.currency, amount_minor), account, now
        )
        actors.record(
            "write_off",
            actors.SYSTEM,
            f"money of the uncollectible invoice {invoice.number} went back",
            account=account,
            subject=("refund", refund.id),
            before={"written_off_minor": invoice.written_off_minor - amount_minor},
            after={"written_off_minor": invoice.written_off_minor},
            now=now,
        )
    invoice.updated_at = now
    invoice.store("paid_minor", "amount_due_minor", "written_off_minor", "collection", "updated_at")


def settle_if_paid(account: Account, invoice: Invoice, documents: Documents, now: datetime) -> bool:
    """Paid when nothing is due: promo code and discounts become final, the subscription moves on."""
    if invoice.status != "open" or invoice.amount_due_minor > 0:
        return False
    invoice.status = invoice_rules.move_document(
        invoice_rules.Document.OPEN, invoice_rules.Document.PAID
    ).value
    invoice.collection, invoice.paid_at, invoice.next_collection_at = "none", now, None
    invoice.updated_at = now
    invoice.store("status", "collection", "paid_at", "next_collection_at", "updated_at")
    orders.withdraw_attempts(invoice, now)
    orders.withdraw_closing(invoice, now)
    discount_rules.commit_uses(invoice)
    if invoice.subscription_id is not None:
        discount_rules.commit_promo_code(account, invoice.subscription_id, now)
    events.tell_invoice("invoice.paid", account, invoice, now)
    if invoice.kind == "debt":
        resolve(DEBT_AFTER_REFUND, invoice.id, now)
    if invoice.subscription_id is not None and invoice.kind in _FOR_A_PERIOD:
        _move_subscription(account, invoice, documents, now)
    if invoice.subscription_id is not None and invoice.kind == "change":
        _change_product(account, invoice, documents, now)
    return True


def _change_product(account: Account, invoice: Invoice, documents: Documents, now: datetime) -> None:
    """The change was paid: it is carried out, unless it was given up meanwhile; then the money is balance."""
    assert invoice.subscription_id is not None
    subscription = Subscription.objects.get(id=invoice.subscription_id)
    change = PendingChange.objects.filter(invoice=invoice, state="open").first()
    refused = rules.refusal(subscription_terms.as_value(subscription), rules.Action.CHANGE_PRODUCT)
    if change is not None and refused is None:
        changes.carry_out(account, subscription, change, now)
        return
    if change is not None:
        changes.settle(change, "lapsed", now)
    _give_back(account, invoice, "change of product given up", documents, now)
    report("paid_after_end", account, ("invoice", invoice.id), {}, now)


def _give_back(account: Account, invoice: Invoice, reason: str, documents: Documents, now: datetime) -> None:
    if crediting.left_minor(invoice) > 0:
        crediting.issue_credit_note(account, invoice, crediting.left_minor(invoice), reason, documents, now)


def _move_subscription(account: Account, invoice: Invoice, documents: Documents, now: datetime) -> None:
    assert invoice.subscription_id is not None
    subscription = Subscription.objects.get(id=invoice.subscription_id)
    value = subscription_terms.as_value(subscription)
    if subscription.status in _OVER:
        # Money came for a subscription that had ended meanwhile: it is the customer's.
        _give_back(account, invoice, "subscription ended", documents, now)
        report("paid_after_end", account, ("invoice", invoice.id), {}, now)
        return
    today = day_in_zone(now, subscription.time_zone)
    period = _period_paid(value, subscription, invoice)
    match value.status:
        case rules.Status.INCOMPLETE | rules.Status.TRIALING:
            value = rules.activate(value, today=today, period=period)
            event_type = "subscription.activated"
        case rules.Status.PAST_DUE:
            assert period is not None
            subscription.past_due_at = _failing_since(subscription)
            paid = rules.recover if subscription.past_due_at is None else rules.with_period_paid
            value, event_type = paid(value, period), "subscription.renewed"
        case _:
            value, event_type = rules.with_period_paid(value, period), "subscription.renewed"
    subscription_terms.take(subscription, value, now)
    subscription.save(using="billing")
    events.tell_subscription(event_type, account, subscription, now)
    falling = falls_with(invoice) if value.has_unpaid_period else None
    if falling is not None:  # an older period is paid, the one that runs was taken back or written off
        end_subscription(account, falling, rules.Action.CANCEL, "running period given up", now)


def _period_paid(value: rules.Subscription, subscription: Subscription, invoice: Invoice) -> Period | None:
    """What the invoice pays for. The newest one's period may have been extended since it was issued."""
    if invoice.id == subscription.latest_invoice_id:
        return value.period
    return subscription_terms.period_of(invoice.period_start_on, invoice.period_end_on)


def _owes(subscription: Subscription, but: Invoice | None = None) -> bool:
    asked = subscription.invoices.filter(status="open", kind__in=_FOR_A_PERIOD)
    return (asked if but is None else asked.exclude(id=but.id)).exists()


def _failing_since(subscription: Subscription) -> datetime | None:
    """The first failure of what is still open; None: nothing of it has been tried in vain.

    Dunning counts from here: what waits only for our gap between two charges is nobody's failure.
    """
    asked = subscription.invoices.filter(status="open", kind__in=_FOR_A_PERIOD)
    since: datetime | None = asked.aggregate(since=Min("first_failed_at"))["since"]
    return since


def void(account: Account, invoice: Invoice, now: datetime) -> None:
    """Takes an open invoice back: what was not credited is reversed, discounts and promo code released."""
    invoice.status = invoice_rules.move_document(
        invoice_rules.Document(invoice.status), invoice_rules.Document.VOID
    ).value
    stored = posting.stored(ledger.SourceKind.INVOICE, invoice.id)
    if stored is not None:
        original_id, original = stored
        taken_back = ledger.reversal(
            original,
            original_id=original_id,
            source_id=invoice.id,
            credits=crediting.postings_of(invoice),
        )
        posting.post(taken_back, account, now)
    invoice.amount_due_minor, invoice.collection = 0, "none"
    invoice.closed_at, invoice.next_collection_at, invoice.updated_at = now, None, now
    invoice.store("status", "amount_due_minor", "collection", "closed_at", "next_collection_at", "updated_at")
    orders.withdraw_attempts(invoice, now)
    discount_rules.release_uses(invoice)
    _settle_promo_code(account, invoice, now)
    changes.lapse(invoice, now)
    events.tell_invoice("invoice.voided", account, invoice, now)


def _settle_promo_code(account: Account, invoice: Invoice, now: datetime) -> None:
    """A period's invoice was closed unpaid: a code whose discount stays with one is used up, given up or not;
    one that no open invoice can use any more is given back.
    """
    if invoice.subscription_id is None or invoice.kind not in _FOR_A_PERIOD:
        return
    if discount_rules.promo_code_is_used(account, invoice.subscription_id):
        discount_rules.commit_promo_code(account, invoice.subscription_id, now)
    elif not Invoice.objects.filter(
        subscription_id=invoice.subscription_id, status="open", kind__in=_FOR_A_PERIOD
    ).exists():
        discount_rules.release_promo_code(account, invoice.subscription_id, now)


def falls_with(invoice: Invoice) -> Subscription | None:
    """The subscription that ends when this open invoice is taken back, or an older one paid, if one does.

    It stands on paid periods and on open invoices for periods. Once its running period is neither paid nor
    asked for any more there is nothing to pay, nothing to wait for and nothing bought: it is over.
    """
    if invoice.subscription_id is None or invoice.kind not in _FOR_A_PERIOD:
        return None
    subscription = Subscription.objects.get(id=invoice.subscription_id)
    # A pause keeps its paid days apart; the period then says nothing of what is paid.
    if subscription.status in (*_OVER, "paused") or _owes(subscription, but=invoice):
        return None
    value = subscription_terms.as_value(subscription)
    is_unpaid = value.status is rules.Status.INCOMPLETE or value.has_unpaid_period
    return subscription if is_unpaid else None


def stand_without(account: Account, invoice: Invoice, reason: str, now: datetime) -> None:
    """What becomes of its subscription, the invoice void or written off: over, or no longer past due."""
    falling = falls_with(invoice)
    if falling is not None:
        is_new = falling.status == rules.Status.INCOMPLETE
        action = rules.Action.EXPIRE if is_new else rules.Action.CANCEL
        end_subscription(account, falling, action, reason, now)
        return
    if invoice.subscription_id is None or invoice.kind not in _FOR_A_PERIOD:
        return
    subscription = Subscription.objects.get(id=invoice.subscription_id)
    if subscription.status != rules.Status.PAST_DUE:
        return
    subscription.past_due_at = _failing_since(subscription)
    if subscription.past_due_at is not None:
        subscription.store("past_due_at")
        return
    subscription_terms.take(subscription, rules.recover(subscription_terms.as_value(subscription)), now)
    subscription.save(using="billing")
    events.tell_subscription("subscription.renewed", account, subscription, now)


def give_up(account: Account, invoice: Invoice, now: datetime) -> int:
    """Writes off what is due of an open invoice and makes it uncollectible; the amount, minor units."""
    amount = invoice.amount_due_minor
    invoice.status = invoice_rules.move_document(
        invoice_rules.Document(invoice.status), invoice_rules.Document.UNCOLLECTIBLE
    ).value
    if amount > 0:
        posting.post(ledger.debt_written_off(invoice.id, account.id, invoice.currency, amount), account, now)
    invoice.written_off_minor, invoice.amount_due_minor, invoice.collection = amount, 0, "none"
    invoice.closed_at, invoice.next_collection_at, invoice.updated_at = now, None, now
    invoice.store(
        "status",
        "written_off_minor",
        "amount_due_minor",
        "collection",
        "closed_at",
        "next_collection_at",
        "updated_at",
    )
    orders.withdraw_attempts(invoice, now)
    discount_rules.commit_uses(invoice)
    _settle_promo_code(account, invoice, now)
    changes.lapse(invoice, now)
    events.tell_invoice("invoice.uncollectible", account, invoice, now)
    if invoice.kind == "debt":
        resolve(DEBT_AFTER_REFUND, invoice.id, now)
    return amount


def end_subscription(
    account: Account,
    subscription: Subscription,
    action: rules.Action,
    reason: str,
    now: datetime,
    *,
    on: date | None = None,
    then: str = "void",
) -> None:
    """CANCEL or EXPIRE it, access ending with the beginning of ``on`` (today when None).

    Open invoices of it are closed through close-payments; ``then`` says what becomes of them.
    """
    changes.close(account, subscription, now)
    value = subscription_terms.as_value(subscription)
    day = on or day_in_zone(now, subscription.time_zone)
    ended = rules.cancel if action is rules.Action.CANCEL else rules.expire
    subscription_terms.take(subscription, ended(value, today=day), now)
    subscription.ended_at, subscription.end_reason = now, reason
    subscription.save(using="billing")
    if not subscription.invoices.filter(status="open", kind__in=_FOR_A_PERIOD).exists():
        discount_rules.release_promo_code(account, subscription.id, now)
    for invoice in subscription.invoices.filter(status="open").exclude(kind="charge").order_by("id"):
        orders.order_closing(account, invoice, then, now)
    name = "subscription.cancelled" if action is rules.Action.CANCEL else "subscription.expired"
    events.tell_subscription(name, account, subscription, now)
