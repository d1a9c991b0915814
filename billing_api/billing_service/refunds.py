"""Posts money that went back, credits the invoice it came from, and ends what a whole refund takes away."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from billing_api.billing_service import changes, crediting, orders, posting, settlement
from billing_api.billing_service.domain import ledger
from billing_api.billing_service.domain import subscription as rules
from billing_api.billing_service.models import Account, Invoice, OutgoingOrder, Payment, Refund, Subscription
from billing_api.billing_service.models import PaymentCancellation as CancellationRow
from billing_api.billing_service.models.subscription import OVER
from billing_api.billing_service.numbering import Documents
from billing_api.billing_service.reports import REFUND_UNKNOWN, report, resolve
from shared.queue.messages.payments import RefundState


def post_refunds(
    account: Account,
    payment: Payment,
    invoice: Invoice | None,
    states: Iterable[RefundState],
    documents: Documents,
    now: datetime,
) -> int:
    """Posts every succeeded refund that has no posting; gives their sum, minor units."""
    total = 0
    for state in sorted(states, key=lambda one: one.refund_id):
        if state.status == "failed":
            _end_in_vain(account, payment, state, now)
        _look_for_person(account, payment, state, now)
        if state.status != "succeeded" or Refund.objects.filter(id=state.refund_id).exists():
            continue
        refund = Refund.objects.create(
            id=state.refund_id,
            account=account,
            payment=payment,
            currency=state.amount.currency,
            amount_minor=state.amount.amount,
            reason=state.reason,
            origin=state.origin,
            cancellation_id=state.cancellation_id,
            refund_order_id=state.refund_order_id,
            succeeded_at=state.succeeded_at or now,
        )
        original = posting.transaction_id(ledger.SourceKind.PAYMENT, payment.id)
        posting.post(
            ledger.payment_refunded(
                refund.id, account.id, refund.currency, refund.amount_minor, reverses=original
            ),
            account,
            now,
        )
        total += refund.amount_minor
        order = _close_order(refund, now)
        if order is not None and order.credit_note_id is not None:
            refund.credited_minor = refund.amount_minor  # by the note that came with the order
            refund.store("credited_minor")
        elif invoice is not None:
            _take_back(account, payment, invoice, refund, documents, now)
    return total


def _look_for_person(account: Account, payment: Payment, state: RefundState, now: datetime) -> None:
    """Found while PayAPI waits for a person's word about it; over with the refund itself."""
    if state.status == "unknown" and state.waits_for_person:
        detail = {"payment_id": str(payment.id), "refund_id": str(state.refund_id)}
        money = {"amount_minor": state.amount.amount, "currency": state.amount.currency}
        report(REFUND_UNKNOWN, account, ("refund", state.refund_id), detail | money, now)
    elif state.status in ("succeeded", "failed"):
        resolve(REFUND_UNKNOWN, state.refund_id, now)


def _close_order(refund: Refund, now: datetime) -> OutgoingOrder | None:
    if refund.cancellation_id is not None:
        # "failed" too: the provider may carry out after all what it had refused.
        CancellationRow.objects.filter(id=refund.cancellation_id, state__in=("open", "failed")).update(
            state="done", settled_at=now
        )
    for order_id in (refund.refund_order_id, refund.cancellation_id):
        order = OutgoingOrder.objects.filter(id=order_id).first() if order_id else None
        if order is not None:
            if order.state != "done":
                orders.settle(order, "done", now)
            return order
    return None


def _end_in_vain(account: Account, payment: Payment, state: RefundState, now: datetime) -> None:
    """The provider refused: the order holds its amount no longer, the cancellation is over, a person is told.

    Later events carry the same failed refund; only the first changes and reports anything.
    """
    asked_id = state.refund_order_id or state.cancellation_id
    if asked_id is None or Refund.objects.filter(id=state.refund_id).exists():
        return
    ended = CancellationRow.objects.filter(id=asked_id, state="open").update(state="failed", settled_at=now)
    ended += OutgoingOrder.objects.filter(id=asked_id, state__in=("pending", "sent")).update(
        state="refused", settled_at=now, last_error="refund-failed"
    )
    if ended:
        orders.report_refusal(account, asked_id, payment.id, "refund-failed", now)


def _take_back(
    account: Account,
    payment: Payment,
    invoice: Invoice,
    refund: Refund,
    documents: Documents,
    now: datetime,
) -> None:
    """Takes what the refund gave back of the invoice's money off the invoice.

    What had become balance goes first. Money of an invoice not yet paid is due again; a paid one is credited.
    Once none of its payments keeps anything, the whole invoice is given back: the part that balance had paid
    returns to the balance, and what the payments bought ends.
    """
    if payment.allocated_minor == 0:
        return
    credited = sum(row.credited_minor for row in payment.refund_rows.all())
    taken = payment.allocated_minor - kept_minor(payment) - credited
    if invoice.status in ("open", "uncollectible"):
        settlement.ask_again(account, invoice, payment, refund, max(0, taken), now)
        return
    if invoice.status != "paid":
        return
    is_whole = kept_minor(payment) + kept_of_others_minor(payment) == 0
    left = crediting.left_minor(invoice)
    amount = left if is_whole else min(max(0, taken), left)
    if amount > 0:
        crediting.issue_credit_note(
            account, invoice, amount, refund.reason or "refund", documents, now, refund.id
        )
        refund.credited_minor = amount
        refund.store("credited_minor")
    if is_whole and invoice.subscription_id is not None and invoice.kind != "charge":
        _end_what_it_bought(account, invoice, now)


def kept_minor(payment: Payment) -> int:
    """What its invoice still has of a payment after the refunds that arrived, minor units."""
    refunded = sum(row.amount_minor for row in payment.refund_rows.all())
    return max(0, payment.allocated_minor - max(0, refunded - payment.to_balance_minor))


def kept_of_others_minor(payment: Payment) -> int:
    """What the same invoice still has of its other payments, minor units."""
    if payment.invoice_id is None:
        return 0
    others = Payment.objects.filter(invoice_id=payment.invoice_id).exclude(id=payment.id)
    return sum(kept_minor(other) for other in others.filter(allocated_minor__gt=0))


def ends_with(invoice: Invoice) -> bool:
    """Whether its subscription ends once nothing is kept of this paid invoice's money."""
    if invoice.subscription_id is None or invoice.kind == "charge":
        return False
    subscription = Subscription.objects.get(id=invoice.subscription_id)
    if subscription.status in OVER or subscription.latest_invoice_id != invoice.id:
        return False
    earlier = changes.brings_back(invoice)
    while earlier is not None and _is_given_back(earlier):
        earlier = changes.brings_back(earlier)
    return earlier is None


def _is_given_back(invoice: Invoice) -> bool:
    payments = list(invoice.payments.filter(allocated_minor__gt=0))
    return bool(payments) and not any(kept_minor(payment) for payment in payments)


def _end_what_it_bought(account: Account, invoice: Invoice, now: datetime) -> None:
    assert invoice.subscription_id is not None
    subscription = Subscription.objects.get(id=invoice.subscription_id)
    # An older invoice given back does not take away a period that a newer one paid for.
    if subscription.status in OVER or subscription.latest_invoice_id != invoice.id:
        return
    if invoice.kind == "change" and changes.undo(account, subscription, invoice, now):
        earlier = Invoice.objects.filter(id=subscription.latest_invoice_id).first()
        if earlier is not None and _is_given_back(earlier):
            _end_what_it_bought(account, earlier, now)
        return
    settlement.end_subscription(account, subscription, rules.Action.CANCEL, "payment refunded", now)
