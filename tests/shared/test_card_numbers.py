"""Card numbers are recognised however they are written, and nothing else is taken for one."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.card_numbers import holds_card_number
from shared.ids import new_id

CARDS = [
    "4242424242424242",
    "5555555555554444",
    "2200000000000004",
    "2202000000003055",
    "378282246310005",
    "6221260000000000001",
]


@pytest.mark.parametrize("number", CARDS)
@pytest.mark.parametrize("form", ['{{"a":"{0}"}}', '{{"a":{0}}}', "a={0}&b=1", "оплата {0}.", "{0}"])
def test_a_number_is_found_in_any_text(number: str, form: str) -> None:
    assert holds_card_number(form.format(number).encode())


@pytest.mark.parametrize("text", ["4242 4242 4242 4242", "4242-4242-4242-4242", "6221 2600 0000 0000 001"])
def test_a_number_is_found_as_it_is_printed(text: str) -> None:
    assert holds_card_number(json.dumps({"note": text}).encode())


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424243",  # the check digit is wrong
        "40702810900000000001",  # a bank account
        "014242424242283002" + "QmFzZTY0",  # a cryptogram begins with masked digits
        "+442071838750123",
        "0198c5a0-0000-7000-8000-000000000001",
        "2026-01-01T00:00:00.000000Z",
        "900719925474099",
        "044525000",
        "1234567890123",
    ],
)
def test_what_is_no_card(text: str) -> None:
    assert not holds_card_number(json.dumps({"a": text}).encode())


def test_ids_are_never_taken_for_cards() -> None:
    for _ in range(20_000):
        assert not holds_card_number(f'{{"id":"{new_id()}","key":"{uuid4()}"}}'.encode())


@given(st.integers(2 * 10**14, 7 * 10**14 - 1))
def test_the_check_digit_decides(prefix: int) -> None:
    """Of ten numbers with one beginning exactly one is a card's."""
    assert sum(holds_card_number(f"{prefix}{digit}".encode()) for digit in range(10)) == 1
