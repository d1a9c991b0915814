"""When a payment's event and our own books contradict each other, so that PayAPI is asked for its word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from shared.money import Money

# Names of the payment's states are those of domain rule 5.
_MONEY_CAME: Final = frozenset({"succeeded", "partially_refunded", "refunded"})


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a payment: totals, and each succeeded refund by its id."""

    user_id: UUID
    invoice_id: UUID | None
    status: str
    amount: Money
    captured: Money
    refunded: Money
    refunds: Mapping[UUID, Money]


@dataclass(frozen=True, slots=True)
class Booked:
    """What our books hold of it. ``posted`` is None before any money was posted; ``asked`` is what our own
    collection attempt asked for, None for a payment the customer made.
    """

    user_id: UUID
    invoice_id: UUID | None
    posted: Money | None
    refunds: Mapping[UUID, Money]
    asked: Money | None = None


def contradiction(said: Said, booked: Booked | None) -> str | None:
    """Why the two cannot both be true, or None: the name of the first rule that is broken.

    What is merely new (money not posted yet, a further refund) contradicts nothing. Rules: what is said must
    agree with itself; a payment stays its user's and its invoice's; posted money neither grows, shrinks nor
    changes currency; a posted refund does not vanish or change; a collection charges what was asked for.
    """
    return _within(said) or (_between(said, booked) if booked is not None else None)


def _within(said: Said) -> str | None:
    total = sum(refund.amount for refund in said.refunds.values())
    if said.refunded.amount != total:
        return "refunds-do-not-add-up"
    if said.refunded.amount > said.captured.amount:
        return "refunded-more-than-captured"
    if said.status in _MONEY_CAME and said.captured.amount == 0:
        return "succeeded-without-money"
    if said.status == "failed" and said.captured.amount > said.refunded.amount:
        return "failed-with-money"
    return None


def _between(said: Said, booked: Booked) -> str | None:
    if said.user_id != booked.user_id:
        return "of-another-user"
    # Money for an invoice that is not known here is kept without one.
    if booked.invoice_id is not None and said.invoice_id != booked.invoice_id:
        return "of-another-invoice"
    if booked.posted is not None and said.captured != booked.posted:
        return "captured-differs-from-posted"
    for refund_id, amount in booked.refunds.items():
        if said.refunds.get(refund_id) != amount:
            return "posted-refund-differs"
    if booked.asked is not None and said.captured.amount > 0 and said.amount != booked.asked:
        return "amount-not-asked-for"
    return None
