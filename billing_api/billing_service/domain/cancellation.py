"""Whether a user may cancel a payment, and what then goes back to the card and to the account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.errors import AppError, conflict

# Names of the payment's states are those of domain rule 5.
_NOT_CAPTURED: Final = frozenset({"created", "action_required", "authorized"})
_IN_FLIGHT: Final = frozenset({"processing", "unknown", "needs_review"})
_OVER: Final = frozenset({"failed", "cancelled", "refunded"})


@dataclass(frozen=True, slots=True)
class CancellationPolicy:
    """Configurable per product: days counted from the capture."""

    window_days: int = 14


@dataclass(frozen=True, slots=True)
class PaidInvoice:
    """What is known of the payment and the invoice it paid, amounts in minor units, moments UTC.

    ``balance_applied_minor``: the part of the invoice covered by account balance. ``credited_later``: whether
    anything was credited from this invoice after it was paid (a credit note, a change of product).
    """

    payment_status: str
    captured_minor: int
    refunded_minor: int
    captured_at: datetime | None
    invoice_total_minor: int
    balance_applied_minor: int
    credited_minor: int
    is_newest_of_subscription: bool
    credited_later: bool


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What happens: ``captures_nothing``: only closed or voided, the invoice stays open."""

    captures_nothing: bool
    to_card_minor: int
    to_balance_minor: int
    credit_note_minor: int


def refusal(
    paid: PaidInvoice, *, now: datetime, policy: CancellationPolicy = CancellationPolicy()
) -> AppError | None:
    """Why the user may not cancel, or None.

    Conflict ``payment-in-progress`` while the outcome is not known, else ``payment-not-cancellable`` whose
    ``rule`` names the rule: payment-is-over, already-refunded-in-part, window-over, not-newest-invoice,
    credited-later.
    """
    status = paid.payment_status
    if status in _NOT_CAPTURED:
        return None
    if status in _IN_FLIGHT:
        return conflict("payment-in-progress", "The outcome of the payment is not known yet.")
    if status in _OVER:
        return _refused("payment-is-over", f"The payment is {status} already.")
    if paid.refunded_minor > 0 or status == "partially_refunded":
        return _refused("already-refunded-in-part", "A part of the payment was refunded already.")
    if status != "succeeded" or paid.captured_at is None:
        return _refused("payment-is-over", "The payment was not captured.")
    # The last moment of the window still counts.
    if now > paid.captured_at + timedelta(days=policy.window_days):
        return _refused("window-over", f"A payment may be cancelled within {policy.window_days} days.")
    if not paid.is_newest_of_subscription:
        return _refused("not-newest-invoice", "The subscription has a newer invoice.")
    if paid.credited_later or paid.credited_minor > 0:
        return _refused("credited-later", "The invoice was credited in part already.")
    return None


def _refused(rule: str, detail: str) -> AppError:
    return conflict("payment-not-cancellable", detail, rule=rule)


def decide(
    paid: PaidInvoice, *, now: datetime, policy: CancellationPolicy = CancellationPolicy()
) -> Cancellation:
    """The figures of a permitted cancellation; raises the refusal otherwise.

    A captured payment goes back whole; the invoice is credited whole, so what the account's balance had paid
    of it returns to the balance. A committed promo redemption is not given back.
    """
    refused = refusal(paid, now=now, policy=policy)
    if refused is not None:
        raise refused
    if paid.payment_status in _NOT_CAPTURED:
        return Cancellation(True, 0, 0, 0)
    return Cancellation(
        captures_nothing=False,
        to_card_minor=paid.captured_minor,
        to_balance_minor=paid.balance_applied_minor,
        credit_note_minor=paid.invoice_total_minor,
    )
