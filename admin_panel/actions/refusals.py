"""The words staff read when a command refuses."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from admin_panel.sections.words import word
from shared.errors import AppError

WORDS: Final = {
    "amount-not-positive": _("The amount has to be greater than zero."),
    "amount-too-large": _("That is more than the payment asks for."),
    "cancellation-open": _("A payment of it is going back already: wait for its end."),
    "credit-exceeds-invoice": _("Credit notes together cannot exceed their invoice."),
    "days-out-of-range": _("That many days cannot be given."),
    "debt-not-adjustable": _("A debt sells nothing: adjust the invoice that did."),
    "debt-not-voidable": _("A debt is paid or written off."),
    "discount-ended": _("The discount has ended already."),
    "idempotency-key-reused": _("This form was already used with other values. Open it again."),
    "invoice-not-creditable": _("Only an open or a paid invoice is credited."),
    "invoice-not-open": _("The invoice is not open any more."),
    "promo-code-taken": _("There is such a promo code already."),
    "promotion-ended": _("The promotion has ended already."),
    "refund-exceeds-payment": _("Refunds together cannot exceed the payment."),
    "refund-not-awaited": _("No person is asked about this refund any more."),
    "review-item-resolved": _("The finding is resolved already."),
    "review-not-open": _("The payment is not under review any more."),
    "subscription-not-set-aside": _("The billing run has not set it aside."),
    "subscription-set-aside": _("Bill the subscription again: that resolves it."),
    "subscription-transition-refused": _("The subscription's state does not allow this."),
    "transaction-differs": _("This transaction is not one of this payment's."),
    "transaction-needed": _("Open the form again and name the provider's transaction you speak of."),
    "transfer-not-awaited": _("This transfer is not awaited any more."),
    "user-api-unavailable": _("UserAPI did not answer. Confirm once more: nothing happens twice."),
}


def words_for(refusal: AppError) -> str:
    """A sentence for a refusal, with the state that it comes of: ours, else the command's detail and code."""
    known = WORDS.get(refusal.code)
    if known is not None:
        status = refusal.extra.get("status")
        now = _now("Now: %(status)s.") % {"status": word(str(status))} if status else ""
        return f"{known} {now}".rstrip()
    detail = refusal.detail or _now("The command refused.")
    return f"{detail} ({refusal.code})"
