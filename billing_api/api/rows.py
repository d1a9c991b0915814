"""The rows that views show, with everything their bodies need fetched along."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from billing_api.billing_service import queries
from billing_api.billing_service.models import (
    CreditNote,
    Invoice,
    InvoiceLine,
    Payment,
    Subscription,
)
from shared.errors import not_found


def invoices() -> QuerySet[Invoice]:
    """Issued invoices with their lines."""
    return Invoice.objects.select_related("account").prefetch_related("lines").exclude(status="draft")


def invoice(invoice_id: UUID, user_id: UUID | None = None) -> Invoice:
    """One invoice, the user's own when a user is given. Raises ``invoice-not-found`` (404)."""
    found = _of_user(invoices(), user_id).filter(id=invoice_id).first()
    if found is None:
        raise not_found("invoice")
    return found


def credit_notes(user_id: UUID) -> QuerySet[CreditNote]:
    """A user's credit notes with their lines and invoices."""
    found = CreditNote.objects.select_related("account", "invoice").prefetch_related("lines__invoice_line")
    return found.filter(account__user_id=user_id)


def credit_note(note_id: UUID, user_id: UUID) -> CreditNote:
    """One credit note of the user. Raises ``credit-note-not-found`` (404)."""
    found = credit_notes(user_id).filter(id=note_id).first()
    if found is None:
        raise not_found("credit-note")
    return found


def subscriptions() -> QuerySet[Subscription]:
    """Subscriptions and one-time purchases."""
    return Subscription.objects.select_related("account")


def subscription(subscription_id: UUID) -> Subscription:
    """One subscription. Raises ``subscription-not-found`` (404)."""
    found = subscriptions().filter(id=subscription_id).first()
    if found is None:
        raise not_found("subscription")
    return found


def charges(user_id: UUID) -> QuerySet[InvoiceLine]:
    """The lines of a user's issued invoices."""
    return queries.charges(user_id).exclude(invoice__status="draft")


def payments(user_id: UUID) -> QuerySet[Payment]:
    """A user's payments."""
    return queries.payments_of(user_id)


def access_bases() -> QuerySet[Subscription]:
    """Subscriptions and purchases that grant access (until their ``access_until``)."""
    return subscriptions().select_related("account", "product").filter(grants_access=True)


def _of_user(rows: QuerySet[Invoice], user_id: UUID | None) -> QuerySet[Invoice]:
    return rows if user_id is None else rows.filter(account__user_id=user_id)
