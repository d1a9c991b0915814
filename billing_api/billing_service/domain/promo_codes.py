"""Whether a promo code may be redeemed, and which of its rules refuses when it may not."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from shared.errors import AppError, invalid

MAX_CODE_LENGTH = 64


@dataclass(frozen=True, slots=True)
class PromoCode:
    """The rules of one code and how often it was redeemed; a reservation counts as a redemption.

    Moments are UTC, the window is half-open; None means no limit. ``product_ids`` empty means every product.
    ``minimum_amount_minor`` is compared with the list prices of the products it works for.
    """

    code: str
    currency: str
    is_active: bool = True
    window_starts_at: datetime | None = None
    window_ends_at: datetime | None = None
    total_limit: int | None = None
    per_user_limit: int | None = 1
    first_purchase_only: bool = False
    minimum_amount_minor: int = 0
    product_ids: frozenset[str] = field(default_factory=frozenset)
    redeemed_total: int = 0
    redeemed_by_user: int = 0


@dataclass(frozen=True, slots=True)
class Purchase:
    """What the code would be used for: list amount by product in minor units, and whether it is the first."""

    currency: str
    list_minor_by_product: dict[str, int]
    is_first_purchase: bool


def normalise(code: str) -> str:
    """The form under which codes are stored and compared: NFKC, no spaces around, upper case.

    Raises invalid ``promo-code-unknown`` for an empty or over-long text, which no code can be.
    """
    folded = unicodedata.normalize("NFKC", code).strip().upper()
    if not folded or len(folded) > MAX_CODE_LENGTH:
        raise _refused("promo-code-unknown", "There is no such promo code.")
    return folded


def check(code: PromoCode | None, purchase: Purchase, *, now: datetime) -> AppError | None:
    """The refusal of the first rule that does not hold, or None. ``now`` in UTC.

    Rules are asked from what concerns the code alone to what concerns this purchase.
    """
    if code is None:
        return _refused("promo-code-unknown", "There is no such promo code.")
    return _code_itself(code, now) or _user(code, purchase) or _amount(code, purchase)


def works_for(product_ids: Collection[str], product_id: str) -> bool:
    """Whether a list of products (empty: all) holds this one."""
    return not product_ids or product_id in product_ids


def _code_itself(code: PromoCode, now: datetime) -> AppError | None:
    if not code.is_active:
        return _refused("promo-code-inactive", "This promo code is switched off.")
    if code.window_starts_at is not None and now < code.window_starts_at:
        return _refused("promo-code-not-started", "This promo code does not work yet.")
    if code.window_ends_at is not None and now >= code.window_ends_at:
        return _refused("promo-code-expired", "This promo code has expired.")
    if code.total_limit is not None and code.redeemed_total >= code.total_limit:
        return _refused("promo-code-exhausted", "This promo code has been used up.")
    return None


def _user(code: PromoCode, purchase: Purchase) -> AppError | None:
    if code.per_user_limit is not None and code.redeemed_by_user >= code.per_user_limit:
        return _refused("promo-code-already-used", "You have already used this promo code.")
    if code.first_purchase_only and not purchase.is_first_purchase:
        return _refused("promo-code-first-purchase-only", "This promo code is for a first purchase.")
    return None


def _amount(code: PromoCode, purchase: Purchase) -> AppError | None:
    if code.currency != purchase.currency:
        return _refused("promo-code-wrong-currency", f"This promo code is for prices in {code.currency}.")
    eligible = [
        amount
        for product_id, amount in purchase.list_minor_by_product.items()
        if works_for(code.product_ids, product_id)
    ]
    if not eligible:
        return _refused("promo-code-not-for-this-product", "This promo code is for other products.")
    if sum(eligible) < code.minimum_amount_minor:
        return invalid(
            "promo-code-below-minimum",
            "The purchase is below the promo code's minimum amount.",
            rule="promo-code-below-minimum",
            minimum={"amount": code.minimum_amount_minor, "currency": code.currency},
        )
    return None


def _refused(rule: str, detail: str) -> AppError:
    return invalid(rule, detail, rule=rule)
