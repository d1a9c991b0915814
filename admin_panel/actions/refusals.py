"""The words staff read when a command refuses."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from shared.errors import AppError

WORDS: Final = {
    "debt-not-adjustable": gettext_lazy("A debt sells nothing: adjust the invoice that did."),
    "debt-not-voidable": gettext_lazy("A debt is paid or written off."),
    "idempotency-key-reused": gettext_lazy("This form was already used with other values. Open it again."),
    "transaction-differs": gettext_lazy("This transaction is not one of this payment's."),
    "transaction-needed": gettext_lazy(
        "Open the form again and name the provider's transaction you speak of."
    ),
    "user-api-unavailable": gettext_lazy("UserAPI did not answer. Confirm once more: nothing happens twice."),
}


def words_for(refusal: AppError) -> str:
    """A sentence for a refusal: ours, else the command's own detail with its code."""
    known = WORDS.get(refusal.code)
    if known is not None:
        return str(known)
    detail = refusal.detail or _("The command refused.")
    return f"{detail} ({refusal.code})"
