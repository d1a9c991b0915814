"""What a personal account has to spend, and what it owes without an invoice that asks for it."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from django.db.models import Sum

from billing_api.billing_service import posting
from billing_api.billing_service.models import Account, Invoice, OutgoingOrder, Payment, PaymentCancellation


def available_minor(account: Account | None, currency: str) -> int:
    """What the customer may still spend, >= 0: credit neither applied to an open invoice nor going back."""
    if account is None:
        return 0
    spare = spare_minor(account, currency)
    return max(0, spare - held_minor(account, currency)) if spare > 0 else 0


def spare_minor(account: Account, currency: str) -> int:
    """What open invoices still ask for, less the ledger balance; negative: owed without an invoice."""
    due = Invoice.objects.filter(
        account=account, currency=currency, status__in=("open", "uncollectible")
    ).aggregate(due=Sum("amount_due_minor"))["due"]
    return (due or 0) - posting.balance_minor(account, currency)


def held_minor(account: Account, currency: str) -> int:
    """What refunds on their way will take of the account's balance, minor units: it is not spent meanwhile.

    A refund of unused days takes what its credit note put there, any other first what its payment left there.
    """
    held = 0
    plain: dict[UUID, int] = defaultdict(int)
    for order in OutgoingOrder.objects.filter(
        account=account, currency=currency, kind="refund", state__in=("pending", "sent")
    ):
        if order.credit_note_id is not None:
            held += order.amount_minor
        elif order.payment_id is not None:
            plain[order.payment_id] += order.amount_minor
    for cancelled in PaymentCancellation.objects.filter(
        account=account, currency=currency, state="open", action="refund"
    ):
        plain[cancelled.payment_id] += cancelled.amount_minor
    for payment in Payment.objects.filter(id__in=list(plain)) if plain else ():
        held += min(plain[payment.id], max(0, payment.to_balance_minor - payment.refunded_minor))
    return held
