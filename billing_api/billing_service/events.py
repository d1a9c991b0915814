"""Builds the states of invoices, credit notes and subscriptions and writes their events to the outbox."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from billing_api.billing_service import subscription_terms
from billing_api.billing_service.database import cursor
from billing_api.billing_service.models import Account, CreditNote, Invoice, InvoiceLine, Subscription
from shared.money import Money
from shared.queue import outbox
from shared.queue.messages.invoices import (
    CollectionStatus,
    CreditNoteState,
    InvoiceState,
    InvoiceStatus,
    SubscriptionState,
    SubscriptionStatus,
)
from shared.queue.messages.invoices import InvoiceLine as LineState

SOURCE: Final = "billing-api"


def line_state(line: InvoiceLine, currency: str) -> LineState:
    return LineState(
        line_id=line.id,
        kind=line.kind,
        product_id=line.product_id,
        price_id=line.price_id,
        list_amount=Money(line.list_minor, currency),
        discount=Money(line.discount_minor, currency),
        net=Money(line.net_minor, currency),
        vat=Money(line.vat_minor, currency),
        vat_rate_bp=line.vat_rate_bp,
        period_start=line.period_start_on,
        period_end=line.period_end_on,
    )


def invoice_state(account: Account, invoice: Invoice) -> InvoiceState:
    """The whole state of an invoice; its number is empty until the command's last statement."""

    def money(amount_minor: int) -> Money:
        return Money(amount_minor, invoice.currency)

    return InvoiceState(
        invoice_id=invoice.id,
        number=invoice.number or "",
        user_id=account.user_id,
        subscription_id=invoice.subscription_id,
        kind=invoice.kind,
        status=InvoiceStatus(invoice.status),
        collection=CollectionStatus(invoice.collection),
        total=money(invoice.total_minor),
        vat=money(invoice.vat_minor),
        balance_applied=money(invoice.balance_applied_minor),
        paid=money(invoice.paid_minor),
        credited=money(invoice.credited_minor),
        amount_due=money(invoice.amount_due_minor),
        lines=[line_state(line, invoice.currency) for line in invoice.lines.order_by("position")],
        payment_ids=list(
            invoice.payments.filter(allocated_minor__gt=0).order_by("id").values_list("id", flat=True)
        ),
        issued_at=invoice.issued_at,
        due_at=invoice.due_at,
        paid_at=invoice.paid_at,
        updated_at=invoice.updated_at,
    )


def subscription_state(account: Account, subscription: Subscription) -> SubscriptionState:
    """The whole state of a subscription or purchase."""
    noticed = subscription.price_noticed_minor
    return SubscriptionState(
        subscription_id=subscription.id,
        user_id=account.user_id,
        kind=subscription.kind,
        product_id=subscription.product_id,
        price_id=subscription.price_id,
        product_group=subscription.product_group,
        status=SubscriptionStatus(subscription.status),
        cancel_at_period_end=subscription.cancel_at_period_end,
        grants_access=subscription.grants_access,
        access_until=subscription.access_until,
        reduced_until=subscription_terms.reduced_until(subscription),
        current_period_start=subscription.period_start_on,
        current_period_end=subscription.period_end_on,
        trial_ends_at=subscription.trial_ends_at,
        term_periods=subscription.term_periods,
        periods_billed=subscription.periods_billed,
        next_invoice_at=subscription.next_invoice_at,
        latest_invoice_id=subscription.latest_invoice_id,
        upcoming_price=Money(noticed, subscription.currency) if noticed is not None else None,
        upcoming_price_from=subscription.price.valid_from_at if noticed is not None else None,
        created_at=subscription.created_at,
        updated_at=subscription.updated_at,
    )


def credit_note_state(account: Account, note: CreditNote) -> CreditNoteState:
    """The whole state of a credit note."""
    return CreditNoteState(
        credit_note_id=note.id,
        number=note.number or "",
        invoice_id=note.invoice_id,
        user_id=account.user_id,
        subscription_id=note.subscription_id,
        reason=note.reason,
        total=Money(note.total_minor, note.currency),
        vat=Money(note.vat_minor, note.currency),
        refund_id=note.refund_id,
        issued_at=note.issued_at,
    )


def tell_invoice(event_type: str, account: Account, invoice: Invoice, now: datetime) -> None:
    """``invoice.*`` into the outbox, in the transaction at hand."""
    with cursor() as database:
        outbox.add_sync(database, SOURCE, event_type, invoice.id, invoice_state(account, invoice), now)


def tell_subscription(event_type: str, account: Account, subscription: Subscription, now: datetime) -> None:
    """``subscription.*`` into the outbox, in the transaction at hand."""
    state = subscription_state(account, subscription)
    with cursor() as database:
        outbox.add_sync(database, SOURCE, event_type, subscription.id, state, now)


def tell_credit_note(account: Account, note: CreditNote, now: datetime) -> None:
    """``credit_note.issued`` into the outbox, in the transaction at hand."""
    with cursor() as database:
        outbox.add_sync(
            database, SOURCE, "credit_note.issued", note.id, credit_note_state(account, note), now
        )
