"""Hashes and verifies passwords (argon2id) without letting a crowd of log-ins use up the machine."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from functools import partial
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

# The most used passwords of 8 characters or more in published leaks, and this product's own words.
_COMMON_TEXT: Final = """
password password1 password12 password123 password1234 passw0rd p@ssw0rd p@ssword 12345678 123456789
1234567890 12345678910 11111111 111111111 1111111111 00000000 88888888 87654321 987654321 0987654321
12341234 123123123 123321123 11223344 1122334455 12344321 123456aa 123456abc 1234qwer 1q2w3e4r
1q2w3e4r5t 1qaz2wsx 1qazxsw2 qwertyui qwertyuiop qwerty12 qwerty123 qwerty1234 qwerty12345 qwerty123456
asdfghjk asdfghjkl zxcvbnm1 zaq12wsx abcd1234 abc12345 a1234567 a12345678 aa123456 iloveyou iloveyou1
sunshine princess football baseball superman starwars trustno1 whatever computer internet michelle
jennifer samantha letmein1 welcome1 welcome123 admin123 admin1234 administrator changeme default1
master123 dragon123 monkey123 shadow123 charlie1 liverpool corvette mercedes danielle victoria qazwsxedc
йцукенгш йцукенгшщз пароль12 пароль123 привет12 привет123 любовь123 наташа12 cinema123 cinema1234
kinoteatr kinoteatr1 кинотеатр кинотеатр1
"""
_COMMON: Final = frozenset(_COMMON_TEXT.split())
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
    local_part = email.casefold().partition("@")[0]
    if folded in _COMMON or len(set(folded)) < 4 or folded in (email.casefold(), local_part):
        raise invalid("password-too-weak", "This password is too easy to guess.")


def _canonical(password: str) -> str:
    # The same characters may be typed composed or not, depending on the keyboard.
    return unicodedata.normalize("NFKC", password)
