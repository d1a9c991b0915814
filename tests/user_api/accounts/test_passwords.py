"""What a password may be: long enough, not one tried first, nothing of the account or the product."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import AppError
from user_api.user_service import passwords

LIST = (Path(passwords.__file__).parent / "common_passwords.txt").read_text().split()


def is_weak(password: str, email: str = "anna.petrova7@example.com") -> bool:
    try:
        passwords.check_policy(password, email)
    except AppError as error:
        return error.code == "password-too-weak"
    return False


def test_none_of_the_most_used_ones_is_taken() -> None:
    """ASVS 5.0, 6.2.4: at least the 3,000 most used that the policy would let through otherwise."""
    assert len(set(LIST)) >= 3000
    assert [password for password in LIST if not is_weak(password)] == []
    assert [password for password in LIST if not is_weak(password.upper())] == []


@pytest.mark.parametrize(
    "password",
    [
        "anna.petrova7@example.com",
        "anna.petrova7",
        "anna.petrova2026!",
        "cinema2026",
        "!!Cinema!!",
        "kinoteatr007",
        "КИНОТЕАТР2026",
        "подписка1234",
        "98237648723",
        "aaaaaaaaaaab",
        "short1!",
        "x" * 129,
    ],
)
def test_guessable(password: str) -> None:
    assert is_weak(password)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "кот сидит на окне",
        "  blanks  around  ",
        "🎬🍿🎟️🎞️ ночью 8",
        "my cinema at night",
        "Zq7-" * 32,
    ],
)
def test_fine_without_any_rules_of_composition(password: str) -> None:
    assert not is_weak(password)
