"""Hashes and verifies passwords (argon2id) without letting a crowd of log-ins use up the machine."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from shared.errors import invalid, unavailable

MIN_LENGTH: Final = 8
MAX_LENGTH: Final = 128
_MEMORY_KIB: Final = 19456  # with t=2, p=1: the least OWASP and ASVS 5.0 allow for argon2id
_AT_ONCE: Final = 4
_WAITING: Final = 200

# The 5,000 most used passwords of 8 characters or more in published leaks, the most used first (the list
# compiled by Royce Williams), and what people type here: in Russian, and this product's own words.
_LIST: Final = Path(__file__).with_name("common_passwords.txt")
_RUSSIAN: Final = """
йцукенгш йцукенгшщз йцукен123 пароль12 пароль123 привет12 привет123 любовь123 наташа12 спартак1 максим12
солнышко кинотеатр кинотеатр1 фильмы123 подписка подписка1
"""
CONTEXT_WORDS: Final = ("cinema", "kinoteatr", "кинотеатр", "kino", "кино", "subscription", "подписка")
_PADDING: Final = "0123456789!@#$%^&*()_-+=.,? "
_COMMON: Final = frozenset((*_LIST.read_text(encoding="utf-8").split("\n"), *_RUSSIAN.split())) - {""}
_Result = TypeVar("_Result")


class Passwords:
    """At most four hashes at a time (19 MiB each), a bounded number of waiters; above that 503."""

    def __init__(self) -> None:
        hasher = Argon2Hasher(time_cost=2, memory_cost=_MEMORY_KIB, parallelism=1)
        self._hash = PasswordHash((hasher,))
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        return await self._run(partial(self._hash.hash, _canonical(password)))

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Whether it is the password, and a fresh hash when the parameters have risen since.

        Without a hash (an unknown account) it takes the same time and says no.
        """
        if hashed is None:
            if self._decoy is None:
                self._decoy = await self.hash("no account has this password")
            await self._run(partial(self._hash.verify, _canonical(password), self._decoy))
            return False, None
        try:
            return await self._run(partial(self._hash.verify_and_update, _canonical(password), hashed))
        except UnknownHashError:
            return False, None

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        if self._waiting >= _WAITING:
            raise unavailable("busy", "Too many people are signing in just now.", 2)
        self._waiting += 1
        try:
            async with self._gate:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


def check_policy(password: str, email: str) -> None:
    """Raises ``password-too-weak`` (422): by length and by being guessable, never by composition rules."""
    canonical = _canonical(password)
    if not MIN_LENGTH <= len(canonical) <= MAX_LENGTH:
        raise invalid("password-too-weak", f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.")
    folded = canonical.casefold()
    if folded in _COMMON or len(set(folded)) < 4 or _is_about(folded, email):
        raise invalid("password-too-weak", "This password is too easy to guess.")


def _is_about(folded: str, email: str) -> bool:
    """Whether it is the account's own address or a word of this product, with digits or signs around."""
    local_part = email.casefold().partition("@")[0]
    core = folded.strip(_PADDING)
    own = {email.casefold(), local_part, local_part.strip(_PADDING)}
    return core == "" or core in CONTEXT_WORDS or folded in own or core in own


def _canonical(password: str) -> str:
    # The same characters may be typed composed or not, depending on the keyboard.
    return unicodedata.normalize("NFKC", password)
