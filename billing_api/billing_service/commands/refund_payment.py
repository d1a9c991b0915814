"""Orders a refund of a payment, whole or in part; its postings follow the event of its success."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import changes, crediting, locks, orders, paid_days, refunds, spare_balance
from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import Payment, PaymentCancellation
from shared.errors import conflict, invalid, not_found
from shared.money import Money


@dataclass(frozen=True, slots=True)
class RefundOrdered:
    """``left``: what could still be refunded afterwards. ``order_id`` None in a preview.

    ``debt``: what of it the customer has spent on other invoices; it will be asked for once it went back.
    ``credited_already``: what of it a change of product has credited for days not used: given twice.
    """

    order_id: UUID | None
    payment_id: UUID
    amount: Money
    left: Money
    ends_subscription: bool
    debt: Money
    credited_already: Money


def refund_payment(
    payment_id: UUID,
    amount: Money,
    *,
    actor: Actor,
    reason: str,
    preview: bool = False,
    now: datetime,
) -> RefundOrdered:
    """Orders together never exceed what was captured. What an invoice bought ends with the last of its money.

    Raises ``payment-not-found``, ``amount-not-positive``, ``currency-mismatch``, ``refund-exceeds-payment``,
    ``cancellation-open``, ``reason-missing``.
    """
    reason = require_reason(reason)
    with atomic():
        account_id = Payment.objects.filter(id=payment_id).values_list("account_id", flat=True).first()
        if account_id is None:
            raise not_found("payment")
        account = locks.lock_account(account_id)
        payment = Payment.objects.get(id=payment_id)
        left = _left(payment, amount)
        done = RefundOrdered(
            None,
            payment.id,
            amount,
            Money(left - amount.amount, payment.currency),
            left == amount.amount and _ends_subscription(payment),
            Money(_debt_minor(payment, amount.amount), payment.currency),
            Money(_credited_already_minor(payment, amount.amount), payment.currency),
        )
        if preview:
            return done
        changes.give_up_credit(account, payment.invoice, now)
        order = orders.order_refund(account, payment, amount.amount, reason, now)
        record(
            "refund_payment",
            actor,
            reason,
            account=account,
            subject=("payment", payment.id),
            before={"refundable": Money(left, payment.currency).as_json()},
            after={"refundable": done.left.as_json(), "order_id": str(order.id)},
            now=now,
        )
        return replace(done, order_id=order.id)


def _ends_subscription(payment: Payment) -> bool:
    """Whether all a paid invoice has is this payment's money, and its subscription stands on nothing else."""
    invoice = payment.invoice
    if invoice is None or invoice.status != "paid" or payment.allocated_minor == 0:
        return False
    return refunds.kept_of_others_minor(payment) == 0 and refunds.ends_with(invoice)


def _debt_minor(payment: Payment, amount_minor: int) -> int:
    """What the refund will leave owed beside open invoices, minor units: balance gives way first."""
    of_invoice = _of_invoice_minor(payment, amount_minor)
    invoice = payment.invoice
    if invoice is not None and invoice.status in ("open", "uncollectible"):
        credited = of_invoice  # due again
    else:
        credited = min(of_invoice, crediting.left_minor(invoice)) if invoice is not None else 0
    return max(0, amount_minor - credited - spare_balance.available_minor(payment.account, payment.currency))


def _of_invoice_minor(payment: Payment, amount_minor: int) -> int:
    """What of the amount its invoice has; what had become balance goes first."""
    in_balance = max(0, payment.to_balance_minor - payment.refunded_minor - _pending_minor(payment))
    return max(0, amount_minor - in_balance)


def _credited_already_minor(payment: Payment, amount_minor: int) -> int:
    invoice = payment.invoice
    if invoice is None or invoice.status != "paid":
        return 0
    return paid_days.credited_already_minor(invoice, _of_invoice_minor(payment, amount_minor))


def _pending_minor(payment: Payment) -> int:
    arrived = payment.refund_rows.exclude(refund_order_id=None).values_list("refund_order_id", flat=True)
    return orders.pending_refunds_minor(payment.id, arrived)


def _left(payment: Payment, amount: Money) -> int:
    """What may still be refunded, minor units, orders on their way included."""
    if amount.amount <= 0:
        raise invalid("amount-not-positive", "The amount must be greater than zero.")
    if amount.currency != payment.currency:
        raise invalid("currency-mismatch", f"The payment is in {payment.currency}.")
    if PaymentCancellation.objects.filter(payment_id=payment.id, state="open").exists():
        raise conflict("cancellation-open", "The payment is being cancelled.")
    left = payment.captured_minor - payment.refunded_minor - _pending_minor(payment)
    if amount.amount > left:
        raise conflict(
            "refund-exceeds-payment",
            "Refunds together cannot exceed the payment.",
            left={"amount": max(0, left), "currency": payment.currency},
        )
    return left
