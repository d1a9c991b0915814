"""Personal accounts, what gives access, and sessions that tokens are checked against."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from billing_api.billing_service import posting, spare_balance, subscription_terms
from billing_api.billing_service.domain.ledger import Account as LedgerAccount
from billing_api.billing_service.models import (
    Account,
    AccountBalance,
    InvoiceLine,
    LedgerEntry,
    Subscription,
    TokenState,
)
from billing_api.billing_service.queries.shapes import moment, money


def account_view(user_id: UUID) -> dict[str, Any]:
    """Balance from the customer's view: prepaid money positive, debt negative. An unknown user has 0."""
    account = Account.objects.filter(user_id=user_id).first()
    currency = account.currency if account else "RUB"
    moved = AccountBalance.objects.filter(account=account).exclude(currency=currency)
    others = sorted(moved.values_list("currency", flat=True)) if account else []
    balances = [_standing(account, one) for one in (currency, *others)]
    return {
        "user_id": str(user_id),
        "balance": balances[0]["balance"],
        "available": balances[0]["available"],
        "currency": currency,
        "balances": balances,
        "time_zone": account.time_zone if account else "Europe/Moscow",
    }


def _standing(account: Account | None, currency: str) -> dict[str, Any]:
    return {
        "currency": currency,
        "balance": money(-posting.balance_minor(account, currency), currency),
        "available": money(spare_balance.available_minor(account, currency), currency),
    }


def money_flow(user_id: UUID) -> dict[str, Any]:
    """All money of provider payments and refunds of a user, from the ledger; both >= 0.

    ``flows``: every currency apart, the account's own first, which ``received`` and ``refunded`` repeat.
    """
    account = Account.objects.get(user_id=user_id)
    moved = LedgerEntry.objects.filter(account=account, ledger_account=LedgerAccount.PROVIDER_CLEARING)
    sums = moved.values("currency").annotate(
        received=Coalesce(Sum("amount_minor", filter=Q(amount_minor__gt=0)), 0),
        refunded=Coalesce(Sum("amount_minor", filter=Q(amount_minor__lt=0)), 0),
    )
    found = {one["currency"]: (one["received"], -one["refunded"]) for one in sums.order_by("currency")}
    own = account.currency
    ordered = {own: found.pop(own, (0, 0))} | found
    flows = [
        {"currency": code, "received": money(received, code), "refunded": money(refunded, code)}
        for code, (received, refunded) in ordered.items()
    ]
    return {"received": flows[0]["received"], "refunded": flows[0]["refunded"], "flows": flows}


def charges(user_id: UUID) -> QuerySet[InvoiceLine]:
    """Lines of the user's invoices, newest first: what was charged for what."""
    return (
        InvoiceLine.objects.select_related("invoice")
        .filter(account__user_id=user_id)
        .order_by("-invoice__issued_at", "-id")
    )


def access_bases(user_id: UUID | None = None) -> list[dict[str, Any]]:
    """What gives access now, from subscriptions alone."""
    found = Subscription.objects.select_related("account", "product").filter(grants_access=True)
    if user_id is not None:
        found = found.filter(account__user_id=user_id)
    return [
        {
            "subscription_id": str(row.id),
            "user_id": str(row.account.user_id),
            "product_id": str(row.product_id),
            "grants": row.product.grants,
            "status": row.status,
            "until": moment(row.access_until),
            "reduced_grants": row.product.reduced_grants,
            "reduced_until": moment(subscription_terms.reduced_until(row)),
        }
        for row in found.order_by("id")
    ]


def token_state(user_id: UUID) -> TokenState | None:
    """The newest epoch and ended families of a user, as the events told them."""
    return TokenState.objects.filter(user_id=user_id).first()
