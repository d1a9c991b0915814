"""Profile, contacts and password of the signed-in user."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.clock import ManualClock
from tests.user_api.accounts.conftest import PASSWORD, Person, Register, problem_code


async def patch(person: Person, body: dict[str, Any]) -> Any:
    return await person.client.patch("/v1/me", json=body, headers=person.headers)


async def put_password(person: Person, current: str, new: str) -> Any:
    body = {"current_password": current, "new_password": new}
    return await person.client.put("/v1/me/password", json=body, headers=person.headers)


async def test_changes_only_what_is_given(register: Register, clock: ManualClock, events: Any) -> None:
    anna = await register(full_name="Анна", phone="+79161234567")
    before = (await anna.get("/v1/me")).json()
    clock.advance(timedelta(minutes=1))
    answer = await patch(anna, {"locale": "en", "phone": None})
    assert answer.status_code == 200, answer.text
    assert answer.json() == before | {
        "locale": "en",
        "phone": None,
        "updated_at": clock.now().isoformat().replace("+00:00", "Z"),
    }
    told = await events(anna.id)
    assert [event["type"] for event in told] == ["user.registered", "user.updated"]
    assert told[-1]["data"]["locale"] == "en"


async def test_nothing_changed_tells_nothing(register: Register, events: Any) -> None:
    anna = await register(locale="en")
    assert (await patch(anna, {"locale": "en"})).status_code == 200
    assert (await patch(anna, {})).status_code == 200
    assert len(await events(anna.id)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"locale": None},
        {"time_zone": None},
        {"email": None},
        {"locale": "fr"},
        {"time_zone": "Mars/Olympus"},
        {"phone": "12"},
        {"email": "not-an-address", "current_password": PASSWORD},
        {"status": "blocked"},
        {"id": "018f4e5c-0000-7000-8000-000000000000"},
        {"token_epoch": 9},
        {"password_hash": "x"},
        {"created_at": "2020-01-01T00:00:00Z"},
        {"full_name": "a\u0000b"},
    ],
)
async def test_bad_changes_are_problems_and_write_nothing(
    register: Register, events: Any, body: dict[str, Any]
) -> None:
    anna = await register()
    before = (await anna.get("/v1/me")).json()
    answer = await patch(anna, body)
    assert (answer.status_code, problem_code(answer)) == (422, "invalid-request")
    assert (await anna.get("/v1/me")).json() == before
    assert len(await events(anna.id)) == 1


async def test_new_email_needs_the_password(register: Register) -> None:
    anna = await register()
    missing = await patch(anna, {"email": "new@example.com"})
    assert (missing.status_code, problem_code(missing)) == (403, "password-required")
    wrong = await patch(anna, {"email": "new@example.com", "current_password": "wrong password"})
    assert (wrong.status_code, problem_code(wrong)) == (403, "password-incorrect")
    done = await patch(anna, {"email": "New@example.com", "current_password": PASSWORD})
    assert (done.status_code, done.json()["email"]) == (200, "New@example.com")
    assert (await anna.log_in()).status_code == 401
    anna.email = "new@EXAMPLE.com"
    assert (await anna.log_in()).status_code == 200


async def test_somebody_elses_email_is_refused(register: Register) -> None:
    anna, _ = await register(), await register("boris@example.com")
    answer = await patch(anna, {"email": "BORIS@example.com", "current_password": PASSWORD})
    assert (answer.status_code, problem_code(answer)) == (409, "email-taken")
    assert (await anna.get("/v1/me")).json()["email"] == "anna@example.com"


async def test_new_password_ends_every_session_and_opens_one(register: Register, events: Any) -> None:
    anna = await register()
    phone = (await anna.log_in()).json()
    old_access, old_refresh = anna.access, anna.refresh_token
    answer = await put_password(anna, PASSWORD, "a much better one")
    assert answer.status_code == 200, answer.text
    anna.take(answer.json())
    assert (await anna.get("/v1/me")).status_code == 200
    assert len((await anna.get("/v1/auth/sessions")).json()["items"]) == 1
    for token in (old_refresh, phone["refresh_token"]):
        assert (await anna.refresh(token)).status_code == 401
    old = await anna.client.get("/v1/me", headers={"Authorization": f"Bearer {old_access}"})
    assert (old.status_code, problem_code(old)) == (401, "session-ended")
    assert (await anna.log_in(PASSWORD)).status_code == 401
    assert (await anna.log_in("a much better one")).status_code == 200
    last = (await events(anna.id))[-1]
    assert (last["type"], last["data"]["token_epoch"]) == ("user.sessions_revoked", 2)


async def test_wrong_or_weak_password_changes_nothing(
    register: Register, rows: Callable[..., Any], events: Any
) -> None:
    anna = await register()
    (before,) = await rows("SELECT password_hash, token_epoch FROM users")
    assert (
        problem_code(await put_password(anna, "wrong password", "a much better one")) == "password-incorrect"
    )
    assert problem_code(await put_password(anna, PASSWORD, "password123")) == "password-too-weak"
    assert problem_code(await put_password(anna, PASSWORD, "short")) == "invalid-request"
    assert (await rows("SELECT password_hash, token_epoch FROM users")) == [before]
    assert len(await events(anna.id)) == 1


async def test_current_password_cannot_be_guessed_with_a_stolen_token(register: Register) -> None:
    anna = await register()
    codes = [(await put_password(anna, f"guess {n}", "a much better one")).status_code for n in range(12)]
    assert codes.count(403) <= 10
    assert codes[-1] == 429


async def test_blanks_of_a_password_count(register: Register) -> None:
    anna = await register()
    answer = await put_password(anna, PASSWORD, "  blanks around  ")
    anna.take(answer.json())
    assert (await anna.log_in("blanks around")).status_code == 401
    assert (await anna.log_in("  blanks around  ")).status_code == 200
