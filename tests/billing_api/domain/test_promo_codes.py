"""Promo codes: every rule refuses under its own name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from billing_api.billing_service.domain.promo_codes import PromoCode, Purchase, check, normalise
from shared.errors import AppError, Kind

NOW = datetime(2026, 4, 11, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PURCHASE = Purchase("RUB", {"basic": 49_900}, is_first_purchase=False)


def refused(purchase: Purchase = PURCHASE, **terms: object) -> str | None:
    error = check(PromoCode("SPRING", **{"currency": "RUB", **terms}), purchase, now=NOW)  # type: ignore[arg-type]
    if error is None:
        return None
    assert error.kind is Kind.INVALID
    assert error.extra["rule"] == error.code
    return error.code


@pytest.mark.parametrize(
    ("terms", "rule"),
    [
        ({"is_active": False}, "promo-code-inactive"),
        ({"window_starts_at": NOW + SECOND}, "promo-code-not-started"),
        ({"window_ends_at": NOW}, "promo-code-expired"),
        ({"total_limit": 5, "redeemed_total": 5}, "promo-code-exhausted"),
        ({"redeemed_by_user": 1}, "promo-code-already-used"),
        ({"per_user_limit": 3, "redeemed_by_user": 3}, "promo-code-already-used"),
        ({"first_purchase_only": True}, "promo-code-first-purchase-only"),
        ({"minimum_amount_minor": 49_901}, "promo-code-below-minimum"),
        ({"product_ids": frozenset({"premium"})}, "promo-code-not-for-this-product"),
        ({"currency": "USD"}, "promo-code-wrong-currency"),
    ],
)
def test_each_rule_refuses_under_its_own_name(terms: dict[str, object], rule: str) -> None:
    assert refused(**terms) == rule


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"window_starts_at": NOW, "window_ends_at": NOW + SECOND},
        {"total_limit": 5, "redeemed_total": 4},
        {"per_user_limit": None, "redeemed_by_user": 99},
        {"per_user_limit": 3, "redeemed_by_user": 2},
        {"minimum_amount_minor": 49_900},
        {"product_ids": frozenset({"premium", "basic"})},
    ],
)
def test_each_rule_lets_its_edge_through(terms: dict[str, object]) -> None:
    assert refused(**terms) is None


def test_a_first_purchase_may_use_a_code_for_it() -> None:
    assert refused(Purchase("RUB", {"basic": 1}, is_first_purchase=True), first_purchase_only=True) is None


def test_an_unknown_code_is_refused() -> None:
    error = check(None, PURCHASE, now=NOW)
    assert error is not None
    assert error.code == "promo-code-unknown"


def test_the_minimum_looks_only_at_the_products_of_the_code() -> None:
    both = Purchase("RUB", {"basic": 100, "film": 900}, is_first_purchase=False)
    only = {"product_ids": frozenset({"basic"}), "minimum_amount_minor": 500}
    assert refused(both, **only) == "promo-code-below-minimum"
    assert refused(both, minimum_amount_minor=1_000) is None


@pytest.mark.parametrize("text", ["spring", " SPRING ", "Spring", "ＳＰＲＩＮＧ"])
def test_codes_are_compared_without_case_width_and_spaces(text: str) -> None:
    assert normalise(text) == "SPRING"


@pytest.mark.parametrize("text", ["", "   ", "X" * 65])
def test_what_no_code_can_be_is_unknown(text: str) -> None:
    with pytest.raises(AppError, match="promo-code-unknown"):
        normalise(text)
