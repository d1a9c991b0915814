"""Who may have a trial: one per person, by account, normalised e-mail and card (domain rule 3)."""

from __future__ import annotations

from uuid import UUID

from billing_api.billing_service.models import Account, KnownCard, Product, TrialUse
from shared.errors import invalid, unavailable


def had_one(account: Account | None, email_hash: str) -> bool:
    """Whether this person had a trial: this account, this e-mail, or somebody with one of its cards."""
    if TrialUse.objects.filter(email_hash=email_hash).exists():
        return True
    if account is None:
        return False
    return TrialUse.objects.filter(account=account).exists() or had_by_card(account)


def had_by_card(account: Account) -> bool:
    """Whether another account that had a trial has, or had, one of this account's saved cards."""
    own = KnownCard.objects.filter(account=account).values("fingerprint")
    others = KnownCard.objects.filter(fingerprint__in=own).exclude(account=account).values("account_id")
    return TrialUse.objects.filter(account_id__in=others).exists()


def require_method(account: Account, product: Product, payment_method_id: UUID | None) -> None:
    """A trial may need a saved card and the consent to charge it at the trial's end, as the product says.

    Raises ``trial-needs-method``, ``payment-method-unusable`` (detached, or somebody else's),
    ``payment-method-catching-up`` (503: its event has not arrived, so nobody knows yet whose card it is).
    """
    if not product.trial_needs_method:
        return
    if payment_method_id is None:
        raise invalid(
            "trial-needs-method", "This trial needs a saved card and the consent to charge it afterwards."
        )
    card = KnownCard.objects.filter(payment_method_id=payment_method_id).first()
    if card is None:
        raise unavailable("payment-method-catching-up", "This card is not known here yet.", 1)
    if card.account_id != account.id or not card.is_active:
        raise invalid("payment-method-unusable", "This card cannot be used.")
