"""Takes over the full state of a payment: posts whatever payment or refund id has no posting yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import debts, dunning_plan, locks, posting, readings, refunds, settlement
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import ledger
from billing_api.billing_service.domain.reconciliation import contradiction
from billing_api.billing_service.models import (
    LIVE_ATTEMPTS,
    Account,
    CollectionAttempt,
    Invoice,
    OutgoingOrder,
    Payment,
)
from billing_api.billing_service.models import PaymentCancellation as CancellationRow
from billing_api.billing_service.numbering import Documents
from billing_api.billing_service.reports import report
from shared.failpoints import failpoint
from shared.queue.messages.payments import PaymentState, PaymentStatus


@dataclass(frozen=True, slots=True)
class PaymentApplied:
    """``posted_minor`` is what this event added to the ledger; 0 for one already known.

    ``contradicts`` names the rule by which the event and the books cannot both be true.
    """

    payment_id: UUID
    posted_minor: int
    refunded_minor: int
    invoice_status: str | None
    contradicts: str | None = None


def apply_payment_event(state: PaymentState, *, sequence: int, now: datetime) -> PaymentApplied:
    """Payments, refunds, failures and cancellations, in whatever order and however often they come.

    Money that no open invoice waits for becomes account balance and is reported. Only a state that says
    captured counts as money. An event that contradicts the books changes nothing: PayAPI is asked for its
    word on the payment (A12, see ``readings``).
    """
    if state.purpose != "invoice":
        return PaymentApplied(state.payment_id, 0, 0, None)
    with atomic():
        account = locks.lock_or_open_account(state.user_id, locale="ru", time_zone="Europe/Moscow", now=now)
        held = Payment.objects.select_related("account").filter(id=state.payment_id).first()
        if held is None or sequence > held.sequence:
            why = contradiction(readings.said(state), readings.booked(held))
            if why is not None:
                owner = held.account if held is not None else account
                readings.order_reading(owner, state.payment_id, state.invoice_id, why, now)
                return PaymentApplied(state.payment_id, 0, 0, None, why)
        return _apply(account, state, sequence, now)


def apply_payment_view(state: PaymentState, *, now: datetime) -> bool:
    """The same for PayAPI's own view, on the held account; True when something of it was missing here.

    A view has no sequence: the next event of the payment is newer than it.
    """
    account = Account.objects.get(user_id=state.user_id)
    before = Payment.objects.filter(id=state.payment_id).values("status", "captured_minor", "refunded_minor")
    was = list(before)
    applied = _apply(account, state, None, now)
    return bool(applied.posted_minor or applied.refunded_minor) or list(before.all()) != was


def _apply(account: Account, state: PaymentState, sequence: int | None, now: datetime) -> PaymentApplied:
    documents = Documents(now)
    invoice = (
        Invoice.objects.filter(id=state.invoice_id, account=account).first() if state.invoice_id else None
    )
    payment, was, is_newer = _keep(account, invoice, state, sequence, now)
    posted = _post_captured(account, payment, invoice, state, documents, now)
    failpoint("billing.ledger.between_two_postings")
    refunded = refunds.post_refunds(account, payment, invoice, state.refunds, documents, now)
    if refunded:
        debts.ask_for_debt(account, payment, documents, now)
    if is_newer and was != state.status.value:
        _follow(account, payment, invoice, state, now)
    documents.give_numbers()
    return PaymentApplied(payment.id, posted, refunded, invoice.status if invoice else None)


def _keep(
    account: Account, invoice: Invoice | None, state: PaymentState, sequence: int | None, now: datetime
) -> tuple[Payment, str | None, bool]:
    """The row, brought up to the newest state; the status it had before; whether the state is the newest."""
    payment = Payment.objects.filter(id=state.payment_id).first()
    was = payment.status if payment else None
    if payment is None:
        payment = Payment(id=state.payment_id, account=account, invoice=invoice, sequence=0)
        payment.created_at = state.created_at
    if sequence is not None and payment.sequence >= sequence:
        return payment, was, False
    payment.sequence = payment.sequence if sequence is None else sequence
    payment.initiator, payment.provider = state.initiator, state.provider
    payment.status, payment.currency = state.status.value, state.amount.currency
    payment.amount_minor = state.amount.amount
    payment.captured_minor, payment.refunded_minor = state.captured.amount, state.refunded.amount
    payment.is_late, payment.payment_method_id = state.late, state.payment_method_id
    payment.card_mask = state.card_mask or ""
    payment.decline = (
        {
            "class": state.decline.decline_class.value,
            "code": state.decline.code,
            "message": state.decline.message,
        }
        if state.decline
        else None
    )
    payment.succeeded_at, payment.updated_at = state.succeeded_at, now
    payment.save(using="billing", force_insert=was is None)
    return payment, was, True


def _post_captured(
    account: Account,
    payment: Payment,
    invoice: Invoice | None,
    state: PaymentState,
    documents: Documents,
    now: datetime,
) -> int:
    if state.captured.amount <= 0 or payment.posted_at is not None:
        return 0
    amount, currency = state.captured.amount, state.captured.currency
    posting.post(ledger.payment_received(payment.id, account.id, currency, amount), account, now)
    taken = 0
    if invoice is not None and invoice.status == "open" and invoice.currency == currency:
        taken = settlement.allocate(account, invoice, amount, documents, now)
    payment.allocated_minor, payment.to_balance_minor = taken, amount - taken
    payment.posted_at = now
    payment.store("allocated_minor", "to_balance_minor", "posted_at")
    if invoice is not None and taken:
        settlement.settle_if_paid(account, invoice, documents, now)
    if taken < amount:
        detail = {
            "amount_minor": amount - taken,
            "currency": currency,
            "invoice_id": str(state.invoice_id) if state.invoice_id else None,
            "invoice_status": invoice.status if invoice else None,
            "late": state.late,
        }
        report("money_without_invoice", account, ("payment", payment.id), detail, now)
    return amount


def _follow(
    account: Account, payment: Payment, invoice: Invoice | None, state: PaymentState, now: datetime
) -> None:
    """What the new status means for the collection of the invoice, its attempt and its cancellation."""
    attempt = CollectionAttempt.objects.filter(id=payment.id).first()
    if attempt is not None:
        OutgoingOrder.objects.filter(id=attempt.id, state="pending").update(state="done", settled_at=now)
    match state.status:
        case PaymentStatus.SUCCEEDED | PaymentStatus.PARTIALLY_REFUNDED | PaymentStatus.REFUNDED:
            _settle_attempt(attempt, "succeeded", now)
        case PaymentStatus.FAILED:
            _settle_attempt(attempt, "failed", now, payment)
            if invoice is not None:
                dunning_plan.take_failure(account, invoice, payment, now)
        case PaymentStatus.CANCELLED:
            was_live = attempt is not None and attempt.state in LIVE_ATTEMPTS
            _settle_attempt(attempt, "withdrawn", now)
            _set_collection(invoice, "none", now)
            if was_live and invoice is not None:
                dunning_plan.take_withdrawal(invoice, payment, now)
        case PaymentStatus.ACTION_REQUIRED:
            _set_collection(invoice, "action_required", now)
        case _:
            _set_collection(invoice, "processing", now)
    if state.status in (PaymentStatus.CANCELLED, PaymentStatus.REFUNDED):
        CancellationRow.objects.filter(payment_id=payment.id, state="open").update(
            state="done", settled_at=now
        )
        OutgoingOrder.objects.filter(payment_id=payment.id, kind="cancellation", state="pending").update(
            state="done", settled_at=now
        )
    elif state.status is PaymentStatus.FAILED:
        CancellationRow.objects.filter(payment_id=payment.id, state="open").update(
            state="failed", settled_at=now
        )


def _settle_attempt(
    attempt: CollectionAttempt | None, outcome: str, now: datetime, payment: Payment | None = None
) -> None:
    if attempt is None or attempt.state in ("succeeded", "failed"):
        return
    attempt.state, attempt.settled_at = outcome, now
    attempt.decline = (
        {**(payment.decline or {}), "payment_method_id": str(payment.payment_method_id or "")}
        if payment
        else None
    )
    attempt.store("state", "settled_at", "decline")


def _set_collection(invoice: Invoice | None, collection: str, now: datetime) -> None:
    if invoice is None or invoice.status != "open" or invoice.collection == "partially_paid":
        return
    invoice.collection, invoice.updated_at = collection, now
    invoice.store("collection", "updated_at")
