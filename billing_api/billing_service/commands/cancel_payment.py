"""Decides whether a user may cancel a payment and fixes what goes back; PayAPI then does it by event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from billing_api.billing_service import changes, locks
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import cancellation as rules
from billing_api.billing_service.models import Account, Invoice, Payment, PaymentCancellation, Subscription
from shared.errors import conflict, not_found, unavailable
from shared.ids import new_id
from shared.money import Money


@dataclass(frozen=True, slots=True)
class PaymentSeen:
    """The payment as PayAPI shows it now; amounts in minor units of the invoice's currency."""

    payment_id: UUID
    user_id: UUID
    invoice_id: UUID
    status: str
    captured_minor: int
    refunded_minor: int


@dataclass(frozen=True, slots=True)
class PaymentCancelled:
    """``amount`` is what goes back to the card: 0 for a void."""

    cancellation_id: UUID
    payment_id: UUID
    action: Literal["void", "refund"]
    amount: Money


def cancel_payment(seen: PaymentSeen, *, now: datetime) -> PaymentCancelled:
    """One open cancellation per payment; asked again, it gives the same one.

    Raises ``payment-in-progress``, ``payment-not-cancellable`` with its rule, ``payment-not-posted-yet``
    (503: the capture has not been heard of here), ``invoice-not-found``.
    """
    with atomic():
        account = locks.lock_account_of_user(seen.user_id)
        invoice = Invoice.objects.filter(id=seen.invoice_id, account=account).first() if account else None
        if account is None or invoice is None:
            raise not_found("invoice")
        known = PaymentCancellation.objects.filter(payment_id=seen.payment_id, state="open").first()
        if known is not None:
            return _answer(known)
        decided = _decide(account, invoice, seen, now)
        if not decided.captures_nothing:
            changes.give_up_credit(account, invoice, now)
        row = PaymentCancellation.objects.create(
            id=new_id(),
            account=account,
            payment_id=seen.payment_id,
            invoice=invoice,
            subscription_id=invoice.subscription_id,
            action="void" if decided.captures_nothing else "refund",
            currency=invoice.currency,
            amount_minor=decided.to_card_minor,
            state="open",
            requested_at=now,
        )
        return _answer(row)


def _decide(account: Account, invoice: Invoice, seen: PaymentSeen, now: datetime) -> rules.Cancellation:
    payment = Payment.objects.filter(id=seen.payment_id, account=account).first()
    if seen.captured_minor > 0 and (payment is None or payment.posted_at is None):
        raise unavailable("payment-not-posted-yet", "The payment has only just been made.", 1)
    if payment is not None and payment.posted_at is not None and payment.allocated_minor == 0:
        raise conflict(
            "payment-not-cancellable",
            "The money stands on the account; it paid no invoice.",
            rule="paid-no-invoice",
        )
    if invoice.kind == "debt" and seen.captured_minor > 0:
        raise conflict("payment-not-cancellable", "The payment settled a debt.", rule="paid-a-debt")
    subscription = (
        Subscription.objects.filter(id=invoice.subscription_id).first() if invoice.subscription_id else None
    )
    paid = rules.PaidInvoice(
        payment_status=seen.status,
        captured_minor=seen.captured_minor,
        refunded_minor=seen.refunded_minor,
        captured_at=payment.succeeded_at if payment else None,
        invoice_total_minor=invoice.total_minor,
        balance_applied_minor=invoice.balance_applied_minor,
        credited_minor=invoice.credited_minor,
        is_newest_of_subscription=subscription is None or subscription.latest_invoice_id == invoice.id,
        credited_later=invoice.credit_notes.exists(),
    )
    window_days = subscription.product.refund_window_days if subscription else 14
    return rules.decide(paid, now=now, policy=rules.CancellationPolicy(window_days))


def _answer(row: PaymentCancellation) -> PaymentCancelled:
    action: Literal["void", "refund"] = "void" if row.action == "void" else "refund"
    return PaymentCancelled(row.id, row.payment_id, action, Money(row.amount_minor, row.currency))


def refuse_while_open(subscription_id: UUID | None = None, invoice_id: UUID | None = None) -> None:
    """Change and credit wait for an open cancellation: raises ``cancellation-open``."""
    found = PaymentCancellation.objects.filter(state="open", action="refund")
    if subscription_id is not None:
        found = found.filter(subscription_id=subscription_id)
    if invoice_id is not None:
        found = found.filter(invoice_id=invoice_id)
    if found.exists():
        raise conflict("cancellation-open", "A payment of it is being cancelled; wait for its end.")
