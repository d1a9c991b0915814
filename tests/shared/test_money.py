"""Money: the oracles of rounding and splitting, on exhaustive small grids."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.money import (
    MAX_AMOUNT_MINOR,
    CurrencyMismatch,
    Money,
    allocate,
    decimal_text_to_minor,
    divide_half_up,
    minor_to_decimal_text,
    percent_of,
    vat_included,
)


def half_up(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def test_oracle_29_percent_of_50_kopecks_is_15() -> None:
    assert percent_of(50, 2_900) == 15
    assert int(50 * 0.29 + 0.5 - 1e-9) == 14  # what a binary float makes of it


def test_percent_of_every_amount_to_2000_by_every_percent_to_99() -> None:
    for percent in range(1, 100):
        rate = Decimal(percent) / 100
        for amount in range(1, 2_001):
            assert percent_of(amount, percent * 100) == half_up(amount * rate)


def test_percent_and_rest_add_up_to_the_amount() -> None:
    for percent in range(1, 100):
        for amount in range(1, 301):
            part = percent_of(amount, percent * 100)
            assert 0 <= part <= amount
            assert abs(part + percent_of(amount, 10_000 - percent * 100) - amount) <= 1


@pytest.mark.parametrize("rate_bp", [0, 1_000, 2_000, 2_200])
def test_vat_inside_every_amount_to_2000(rate_bp: int) -> None:
    for gross in range(-200, 2_001):
        exact = Decimal(gross) * rate_bp / (10_000 + rate_bp)
        assert vat_included(gross, rate_bp) == half_up(exact)


def test_oracle_vat_of_499_roubles_is_22_122ths() -> None:
    assert vat_included(49_900, 2_200) == 8_998
    assert vat_included(49_900, 2_000) == 8_317
    assert vat_included(12_200, 2_200) == 2_200


def test_half_is_rounded_away_from_zero_on_both_sides() -> None:
    assert [divide_half_up(n, 2) for n in (-3, -1, 0, 1, 3)] == [-2, -1, 0, 1, 2]
    assert [divide_half_up(n, 3) for n in (-2, -1, 1, 2)] == [-1, 0, 0, 1]
    with pytest.raises(ValueError, match="positive"):
        divide_half_up(1, 0)


def test_allocate_every_small_total_over_every_small_weighting() -> None:
    for total in range(-12, 61):
        for first in range(6):
            for second in range(6):
                for third in range(6):
                    weights = [first, second, third]
                    parts = allocate(total, weights)
                    assert sum(parts) == total
                    whole = sum(weights)
                    if whole == 0:
                        assert parts == [total, 0, 0]
                        continue
                    for part, weight in zip(parts, weights, strict=True):
                        exact = Fraction(total * weight, whole)
                        assert abs(part - exact) < 1
                        if weight == 0:
                            assert part == 0


def test_allocate_gives_the_left_over_to_the_largest_remainder_then_the_earlier() -> None:
    assert allocate(100, [1, 1, 1]) == [34, 33, 33]
    assert allocate(10, [1, 1, 2, 3]) == [1, 2, 3, 4] or allocate(10, [1, 1, 2, 3]) == [2, 1, 3, 4]
    assert allocate(5, [1, 3]) == [1, 4]
    assert allocate(-5, [1, 3]) == [-1, -4]


@pytest.mark.parametrize("weights", [[], [1, -1]])
def test_allocate_refuses_nothing_and_negative_weights(weights: list[int]) -> None:
    with pytest.raises(ValueError, match=r"nothing|negative"):
        allocate(1, weights)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**7), min_size=1, max_size=30))
def test_allocate_never_takes_more_than_a_weight_holds(total: int, weights: list[int]) -> None:
    total = min(total, sum(weights))
    parts = allocate(total, weights)
    assert sum(parts) == total
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))


@given(st.integers(-MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR))
def test_decimal_text_goes_there_and_back(amount: int) -> None:
    assert decimal_text_to_minor(minor_to_decimal_text(amount)) == amount


@pytest.mark.parametrize("text", ["", ".", "1.", ".5", "1.001", "1e2", " 1", "1,5", "--1", "٣", "0x1"])
def test_decimal_text_refuses_what_is_not_an_exact_amount(text: str) -> None:
    with pytest.raises(ValueError, match=r"decimal"):
        decimal_text_to_minor(text)


def test_money_of_two_currencies_does_not_mix() -> None:
    with pytest.raises(CurrencyMismatch):
        Money(1, "RUB") + Money(1, "USD")
    with pytest.raises(CurrencyMismatch):
        assert Money(1, "RUB") < Money(2, "USD")
    assert Money(3) - Money(5) == -Money(2)
    assert Money(-50).as_decimal_text() == "-0.50"


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 1.0, "currency": "RUB"},
        {"amount": "1", "currency": "RUB"},
        {"amount": True, "currency": "RUB"},
        {"amount": 1, "currency": "XXX"},
        {"amount": MAX_AMOUNT_MINOR + 1, "currency": "RUB"},
        {"amount": 1, "currency": "RUB", "more": 1},
    ],
)
def test_money_as_a_field_refuses_floats_texts_and_strangers(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Money).validate_python(body)
