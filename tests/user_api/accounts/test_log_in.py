"""Logging in: the right person gets in, a guesser is slowed down and learns nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from shared.clock import ManualClock
from shared.errors import unavailable
from tests.user_api.accounts.conftest import PASSWORD, Register, problem_code
from tests.user_api.conftest import client_of
from user_api.user_service.confirm_password import confirm_password
from user_api.user_service.log_in import log_in
from user_api.user_service.throttle_login import MAX_FAILURES, WINDOW, delay_after


async def try_password(client: httpx.AsyncClient, password: str, email: str = "anna@example.com") -> Any:
    return await client.post("/v1/auth/login", json={"email": email, "password": password})


async def test_opens_a_new_session_each_time(register: Register) -> None:
    anna = await register()
    body = (await anna.log_in()).json()
    assert set(body) == {"user", "access_token", "refresh_token", "token_type", "expires_in"}
    assert body["refresh_token"] != anna.refresh_token
    items = (await anna.get("/v1/auth/sessions")).json()["items"]
    assert len(items) == 2


async def test_unknown_address_and_wrong_password_look_the_same(
    client: httpx.AsyncClient, register: Register
) -> None:
    await register()
    wrong = await try_password(client, "wrong password")
    unknown = await try_password(client, "wrong password", "nobody@example.com")
    assert wrong.status_code == unknown.status_code == 401
    hidden = {"correlation_id": None}
    assert wrong.json() | hidden == unknown.json() | hidden
    names = {"retry-after", "www-authenticate", "content-type", "cache-control"}
    assert {n: wrong.headers.get(n) for n in names} == {n: unknown.headers.get(n) for n in names}


async def test_unknown_address_costs_a_hash_too(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    hasher = app.state.resources.passwords._hash
    original = hasher.verify
    monkeypatch.setattr(
        hasher, "verify", lambda password, hashed: verified.append(hashed) or original(password, hashed)
    )
    await try_password(client, "wrong password", "nobody@example.com")
    assert len(verified) == 1
    assert verified[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_guessing_is_slowed_down_and_stops_at_ten(
    client: httpx.AsyncClient, register: Register, clock: ManualClock, rows: Callable[..., Any]
) -> None:
    await register()
    tried = 0
    started = clock.now()
    while clock.now() < started + WINDOW - timedelta(seconds=1):
        answer = await try_password(client, f"guess {tried}")
        if answer.status_code == 429:
            clock.advance(timedelta(seconds=1))
            if int(answer.headers["retry-after"]) > 60:
                break
        else:
            tried += 1
    assert tried == MAX_FAILURES
    refused = await try_password(client, PASSWORD)
    assert (refused.status_code, problem_code(refused)) == (429, "too-many-attempts")
    # Not for good: the window passes and the owner gets in.
    clock.advance(WINDOW)
    assert (await try_password(client, PASSWORD)).status_code == 200


async def test_parallel_guesses_are_counted(client: httpx.AsyncClient, register: Register) -> None:
    await register()
    answers = await asyncio.gather(*(try_password(client, f"guess {n}") for n in range(30)))
    codes = [answer.status_code for answer in answers]
    assert codes.count(401) <= MAX_FAILURES
    assert set(codes) == {401, 429}


async def test_owner_gets_in_from_a_known_address_while_a_stranger_guesses(
    app: FastAPI, register: Register
) -> None:
    anna = await register()
    assert (await anna.log_in()).status_code == 200  # her address is known from now on
    async with client_of(app, "203.0.113.66") as stranger:
        for n in range(MAX_FAILURES + 5):
            last = await try_password(stranger, f"guess {n}")
        assert last.status_code == 429
    assert (await anna.log_in()).status_code == 200


async def test_counts_survive_a_flushed_redis(
    app: FastAPI, client: httpx.AsyncClient, register: Register
) -> None:
    await register()
    for n in range(8):
        last = await try_password(client, f"guess {n}")
    assert last.status_code == 429
    await app.state.resources.session_redis.flushdb()
    assert (await try_password(client, PASSWORD)).status_code == 429


class Overloaded:
    """Verifies nothing: every attempt ends as ``ending`` says."""

    def __init__(self, ending: BaseException) -> None:
        self.ending = ending

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        raise self.ending


@pytest.mark.parametrize(
    "ending",
    [unavailable("busy", "Too many.", 2), OSError("no thread"), asyncio.CancelledError()],
    ids=["busy", "broken", "cancelled"],
)
async def test_an_attempt_that_was_never_judged_is_given_back(
    app: FastAPI, client: httpx.AsyncClient, register: Register, ending: BaseException, clock: ManualClock
) -> None:
    """An overloaded service does not lock its users out: at the log-in and where a password is asked."""
    anna = await register()
    for n in range(3):
        assert (await try_password(client, f"guess {n}")).status_code == 401
    resources = app.state.resources
    common: Any = {"address": "203.0.113.5", "now": clock.now()}
    for _ in range(MAX_FAILURES + 2):
        with pytest.raises(type(ending)):
            await log_in(
                resources.sessions,
                Overloaded(ending),  # type: ignore[arg-type]
                email="anna@example.com",
                password=PASSWORD,
                **common,
            )
        with pytest.raises(type(ending)):
            await confirm_password(
                resources.sessions,
                Overloaded(ending),  # type: ignore[arg-type]
                user_id=UUID(anna.id),
                password=PASSWORD,
                **common,
            )
    # The guesses before it stay counted: the fifth one sets the delay, as without any overload.
    assert [(await try_password(client, f"guess {n}")).status_code for n in range(3)] == [401, 401, 429]


async def test_one_address_may_not_try_many_accounts(make_app: Callable[..., FastAPI]) -> None:
    app = make_app(login_failures_per_ip="5/hour")
    async with client_of(app) as one, client_of(app, "203.0.113.6") as other:
        codes = [
            (await try_password(one, "some guess", f"victim{n}@example.com")).status_code for n in range(6)
        ]
        assert codes == [401] * 5 + [429]
        assert (await try_password(other, "some guess", "victim1@example.com")).status_code == 401


async def test_weaker_hash_is_renewed(
    client: httpx.AsyncClient, register: Register, rows: Callable[..., Any]
) -> None:
    await register()
    weak = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8192, parallelism=1),)).hash(PASSWORD)
    await rows("UPDATE users SET password_hash = $1", weak)
    assert (await try_password(client, PASSWORD)).status_code == 200
    (row,) = await rows("SELECT password_hash FROM users")
    assert row["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await try_password(client, PASSWORD)).status_code == 200


async def test_not_more_than_four_hashes_at_a_time(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading
    import time

    passwords = app.state.resources.passwords
    lock = threading.Lock()
    running = most = 0

    def slow(password: str) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return "hash"

    monkeypatch.setattr(passwords._hash, "hash", slow)
    await asyncio.gather(*(passwords.hash("x") for _ in range(24)))
    assert most == 4


def test_delay_grows() -> None:
    delays = [delay_after(n).total_seconds() for n in range(1, MAX_FAILURES)]
    assert delays == [0, 0, 0, 0, 1, 2, 4, 8, 16]
