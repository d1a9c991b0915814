"""The rows that views show, with everything their bodies need fetched along."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from billing_api.billing_service.models import (
    Account,
    AccountBalance,
    Invoice,
    InvoiceLine,
    Payment,
    Subscription,
)
from shared.errors import not_found


def invoices() -> QuerySet[Invoice]:
    """Issued invoices with their lines in order."""
    lines = Prefetch("lines", InvoiceLine.objects.order_by("position"), to_attr="ordered_lines")
    return Invoice.objects.select_related("account").prefetch_related(lines).exclude(status="draft")


def invoice(invoice_id: UUID, user_id: UUID | None = None) -> Invoice:
    """One invoice, the user's own when a user is given. Raises ``invoice-not-found`` (404)."""
    found = _of_user(invoices(), user_id).filter(id=invoice_id).first()
    if found is None:
        raise not_found("invoice")
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
    lines = InvoiceLine.objects.select_related("invoice").filter(account__user_id=user_id)
    return lines.exclude(invoice__status="draft")


def payments(user_id: UUID) -> QuerySet[Payment]:
    """A user's payments."""
    return Payment.objects.filter(account__user_id=user_id)


def access_bases() -> QuerySet[Subscription]:
    """Subscriptions and purchases that grant access (until their ``access_until``)."""
    return subscriptions().select_related("account", "product").filter(grants_access=True)


def account(user_id: UUID) -> Account | None:
    """A user's personal account, if there is one."""
    return Account.objects.filter(user_id=user_id).first()


def account_body(found: Account) -> dict[str, Any]:
    """The account with its balance from the customer's view: prepaid money is above zero, a debt below."""
    balance = AccountBalance.objects.filter(account=found, currency=found.currency).first()
    owed = balance.balance_minor if balance else 0
    return _account(found.user_id, -owed, found.currency, found.time_zone)


def unknown_account_body(user_id: UUID) -> dict[str, Any]:
    """An account that was never needed yet."""
    return _account(user_id, 0, "RUB", "Europe/Moscow")


def _account(user_id: UUID, balance_minor: int, currency: str, time_zone: str) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "balance": {"amount": balance_minor, "currency": currency},
        "currency": currency,
        "time_zone": time_zone,
    }


def _of_user(rows: QuerySet[Invoice], user_id: UUID | None) -> QuerySet[Invoice]:
    return rows if user_id is None else rows.filter(account__user_id=user_id)
