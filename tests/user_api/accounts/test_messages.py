"""Forgotten passwords and unconfirmed e-mails: links work once, for the right address, and leak nowhere."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from shared.clock import ManualClock
from tests.user_api.accounts.conftest import PASSWORD, Person, Register, problem_code
from tests.user_api.conftest import client_of
from user_api import development_mail
from user_api.user_service.throttle_login import MAX_FAILURES

NEW = "another long password"
MAILER = {"Authorization": "Bearer mailer-credential"}
Post = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def app(make_app: Callable[..., FastAPI]) -> FastAPI:
    return make_app(
        accepted_credentials={"mailer": ["mailer-credential"], "billing-api": ["billing-api-credential"]}
    )


class Mailer:
    """Whoever sends mail: hears of messages in the outbox, collects them."""

    def __init__(self, client: httpx.AsyncClient, rows: Callable[..., Any]) -> None:
        self.client = client
        self.rows = rows

    async def told(self, kind: str) -> list[dict[str, Any]]:
        found = await self.rows(
            "SELECT envelope FROM outbox WHERE event_type = 'message.requested' ORDER BY id"
        )
        events = [json.loads(row["envelope"]) for row in found]
        return [event for event in events if event["data"]["kind"] == kind]

    async def collect(self, kind: str) -> dict[str, Any]:
        message_id = (await self.told(kind))[-1]["data"]["message_id"]
        answer = await self.client.post(f"/internal/v1/messages/{message_id}/collect", headers=MAILER)
        assert answer.status_code == 200, answer.text
        letter: dict[str, Any] = answer.json()
        return letter


@pytest.fixture
def mailer(client: httpx.AsyncClient, rows: Callable[..., Any]) -> Mailer:
    return Mailer(client, rows)


def key_of(letter: dict[str, Any]) -> str:
    return parse_qs(urlsplit(letter["link"]).query)["key"][0]


async def ask(client: httpx.AsyncClient, email: str = "anna@example.com") -> httpx.Response:
    return await client.post("/v1/auth/password-resets", json={"email": email})


async def complete(client: httpx.AsyncClient, key: str, password: str = NEW) -> httpx.Response:
    return await client.post("/v1/auth/password-resets/complete", json={"key": key, "new_password": password})


async def test_a_link_replaces_the_password_once_and_ends_every_session(
    register: Register, mailer: Mailer, events: Any, clock: ManualClock
) -> None:
    anna = await register()
    assert (await ask(anna.client)).status_code == 202
    letter = await mailer.collect("password_reset")
    assert (letter["address"], letter["locale"]) == ("anna@example.com", "ru")
    assert letter["link"].startswith("http://127.0.0.1:8080/account/reset-password?key=")
    assert len(key_of(letter)) >= 43  # 256 bits
    weak = await complete(anna.client, key_of(letter), "password123")
    assert (weak.status_code, problem_code(weak)) == (422, "password-too-weak")
    done = await complete(anna.client, key_of(letter))
    assert (done.status_code, done.content) == (204, b"")  # no log-in
    assert (await anna.refresh()).status_code == (await anna.get("/v1/me")).status_code == 401
    assert (await anna.log_in(PASSWORD)).status_code == 401
    signed_in = await anna.log_in(NEW)
    assert signed_in.status_code == 200
    assert signed_in.json()["user"]["email_confirmed_at"] is not None
    again = await complete(anna.client, key_of(letter), "yet another password")
    assert (again.status_code, problem_code(again)) == (422, "link-invalid")
    last = (await events(anna.id))[-1]
    assert (last["type"], last["data"]["token_epoch"]) == ("user.sessions_revoked", 2)
    assert len(await mailer.told("password_changed")) == 1


async def test_a_link_ends_after_fifteen_minutes(
    register: Register, mailer: Mailer, clock: ManualClock
) -> None:
    anna = await register()
    await ask(anna.client)
    key = key_of(await mailer.collect("password_reset"))
    clock.advance(timedelta(minutes=15))
    refused = await complete(anna.client, key)
    assert (refused.status_code, problem_code(refused)) == (422, "link-invalid")
    message_id = (await mailer.told("password_reset"))[-1]["data"]["message_id"]
    late = await anna.client.post(f"/internal/v1/messages/{message_id}/collect", headers=MAILER)
    assert (late.status_code, problem_code(late)) == (409, "message-expired")


async def test_only_the_newest_link_works(register: Register, mailer: Mailer, clock: ManualClock) -> None:
    anna = await register()
    await ask(anna.client)
    first = key_of(await mailer.collect("password_reset"))
    second = key_of(await mailer.collect("password_reset"))  # a mailer that died half-way
    assert (await complete(anna.client, first)).status_code == 422
    clock.advance(timedelta(minutes=2))
    await ask(anna.client)
    assert (await complete(anna.client, second)).status_code == 422
    third = key_of(await mailer.collect("password_reset"))
    assert (await complete(anna.client, third)).status_code == 204


async def test_a_message_is_not_collected_without_end(register: Register, mailer: Mailer) -> None:
    anna = await register()
    await ask(anna.client)
    for _ in range(5):
        await mailer.collect("password_reset")
    message_id = (await mailer.told("password_reset"))[-1]["data"]["message_id"]
    sixth = await anna.client.post(f"/internal/v1/messages/{message_id}/collect", headers=MAILER)
    assert (sixth.status_code, problem_code(sixth)) == (409, "message-over")


async def test_of_many_at_once_one_uses_the_link(register: Register, mailer: Mailer) -> None:
    anna = await register()
    await ask(anna.client)
    key = key_of(await mailer.collect("password_reset"))
    answers = await asyncio.gather(*(complete(anna.client, key, f"parallel password {n}") for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [204] + [422] * 7
    (won,) = [n for n, answer in enumerate(answers) if answer.status_code == 204]
    assert (await anna.log_in(f"parallel password {won}")).status_code == 200


@pytest.mark.parametrize("how", ["e-mail", "password", "block"])
async def test_a_link_dies_with_what_it_was_sent_for(
    register: Register, mailer: Mailer, rows: Callable[..., Any], how: str
) -> None:
    anna = await register()
    await ask(anna.client)
    key = key_of(await mailer.collect("password_reset"))
    match how:
        case "e-mail":
            body = {"email": "anna@elsewhere.example.com", "current_password": PASSWORD}
            answer = await anna.client.patch("/v1/me", headers=anna.headers, json=body)
        case "password":
            body = {"current_password": PASSWORD, "new_password": "chosen meanwhile"}
            answer = await anna.client.put("/v1/me/password", headers=anna.headers, json=body)
        case "block":
            await rows("UPDATE users SET status = 'blocked'")
            answer = httpx.Response(200)
    assert answer.status_code == 200, answer.text
    (before,) = await rows("SELECT password_hash FROM users")
    refused = await complete(anna.client, key)
    assert (refused.status_code, problem_code(refused)) == (422, "link-invalid")
    assert await rows("SELECT password_hash FROM users") == [before]


async def test_a_known_and_an_unknown_address_get_the_same_answer(
    register: Register, mailer: Mailer, clock: ManualClock
) -> None:
    anna = await register()
    loop = asyncio.get_running_loop()
    took: dict[str, list[float]] = {"anna@example.com": [], "nobody@example.com": []}
    answers = []
    for _ in range(5):
        clock.advance(timedelta(hours=2))
        for email, times in took.items():
            started = loop.time()
            answers.append(await ask(anna.client, email))
            times.append(loop.time() - started)
    assert {(answer.status_code, answer.text) for answer in answers} == {(202, "{}")}
    assert min(min(times) for times in took.values()) >= 0.25
    known, unknown = (sorted(times)[2] for times in took.values())
    assert abs(known - unknown) < 0.05  # both answer at the same moment, whatever was done meanwhile
    assert len(await mailer.told("password_reset")) == 5


async def test_nobodys_mailbox_is_filled(register: Register, mailer: Mailer, clock: ManualClock) -> None:
    anna = await register()
    for _ in range(3):
        await ask(anna.client)
    assert len(await mailer.told("password_reset")) == 1
    for _ in range(8):
        clock.advance(timedelta(minutes=2))
        await ask(anna.client)
    assert len(await mailer.told("password_reset")) == 5


async def test_one_address_may_not_ask_without_end(make_app: Callable[..., FastAPI]) -> None:
    app = make_app(reset_limit="3/hour")
    async with client_of(app) as one, client_of(app, "203.0.113.6") as other:
        assert [(await ask(one, f"u{n}@example.com")).status_code for n in range(4)] == [202] * 3 + [429]
        assert (await ask(other)).status_code == 202


async def test_production_counts_twenty_resets_an_hour(make_settings: Callable[..., Any]) -> None:
    assert make_settings(app_env="production").resets_per_ip == "20/hour"


async def test_a_reset_lets_an_owner_in_whom_a_guesser_kept_out(register: Register, mailer: Mailer) -> None:
    anna = await register()
    for n in range(MAX_FAILURES + 2):
        await anna.log_in(f"guess {n}")
    assert (await anna.log_in()).status_code == 429
    await ask(anna.client)
    await complete(anna.client, key_of(await mailer.collect("password_reset")))
    assert (await anna.log_in(NEW)).status_code == 200


async def confirm(client: httpx.AsyncClient, key: str) -> httpx.Response:
    return await client.post("/v1/auth/email-confirmations/complete", json={"key": key})


async def test_a_new_account_confirms_its_address(
    register: Register, mailer: Mailer, events: Any, clock: ManualClock
) -> None:
    anna = await register(full_name="Анна", locale="en")
    assert (await anna.get("/v1/me")).json()["email_confirmed_at"] is None
    letter = await mailer.collect("email_confirmation")
    assert (letter["full_name"], letter["locale"]) == ("Анна", "en")
    clock.advance(timedelta(days=2, hours=23))
    answer = await confirm(anna.client, key_of(letter))
    assert answer.status_code == 204, answer.text
    anna.take((await anna.log_in()).json())
    assert (await anna.get("/v1/me")).json()["email_confirmed_at"] == "2026-03-04T11:00:00Z"
    assert problem_code(await confirm(anna.client, key_of(letter))) == "link-invalid"
    told = await events(anna.id)
    assert [(event["type"], event["data"]["email_confirmed"]) for event in told] == [
        ("user.registered", False),
        ("user.updated", True),
    ]


async def test_a_changed_address_has_to_be_confirmed_anew_and_the_old_one_is_told(
    register: Register, mailer: Mailer, rows: Callable[..., Any]
) -> None:
    anna = await register()
    old = key_of(await mailer.collect("email_confirmation"))
    await confirm(anna.client, old)
    body = {"email": "anna@elsewhere.example.com", "current_password": PASSWORD}
    changed = await anna.client.patch("/v1/me", headers=anna.headers, json=body)
    assert changed.json()["email_confirmed_at"] is None
    notice = await mailer.collect("email_changed")
    assert (notice["address"], notice["link"]) == ("anna@example.com", None)
    letter = await mailer.collect("email_confirmation")
    assert letter["address"] == "anna@elsewhere.example.com"
    assert (await confirm(anna.client, key_of(letter))).status_code == 204
    assert (await rows("SELECT email_confirmed_at FROM users"))[0][0] is not None


async def test_a_confirmation_may_be_asked_for_again(
    register: Register, mailer: Mailer, clock: ManualClock
) -> None:
    anna = await register()

    async def again(key: str) -> httpx.Response:
        headers = anna.headers | {"Idempotency-Key": key}
        return await anna.client.post("/v1/me/email-confirmations", headers=headers)

    early = await again("k1")
    assert (early.status_code, problem_code(early)) == (429, "too-many-attempts")
    clock.advance(timedelta(minutes=2))
    assert [(await again("k1")).status_code for _ in range(2)] == [202, 202]
    assert len(await mailer.told("email_confirmation")) == 2  # the second was a replay
    await confirm(anna.client, key_of(await mailer.collect("email_confirmation")))
    clock.advance(timedelta(minutes=2))
    done = await again("k3")
    assert (done.status_code, problem_code(done)) == (409, "email-confirmed")


async def test_a_suspected_theft_is_told_to_the_owner(
    register: Register, mailer: Mailer, clock: ManualClock
) -> None:
    anna = await register()
    stolen = anna.refresh_token
    anna.take((await anna.refresh()).json())
    clock.advance(timedelta(seconds=6))
    for _ in range(2):
        assert (await anna.refresh(stolen)).status_code == 401
    assert len(await mailer.told("session_theft_suspected")) == 1
    assert (await mailer.collect("session_theft_suspected"))["link"] is None


async def test_only_a_mailer_gets_links(
    client: httpx.AsyncClient, register: Register, mailer: Mailer, as_service: Any
) -> None:
    anna = await register()
    message_id = (await mailer.told("email_confirmation"))[0]["data"]["message_id"]
    path = f"/internal/v1/messages/{message_id}/collect"
    for headers, status in (({}, 401), (anna.headers, 401), (as_service("billing-api"), 403)):
        assert (await client.post(path, headers=headers)).status_code == status
        assert (await client.get("/internal/v1/messages", headers=headers)).status_code == status
    listed = (await client.get("/internal/v1/messages", headers=MAILER)).json()["items"]
    assert [item["id"] for item in listed] == [message_id]
    assert "anna@" not in json.dumps(listed)
    missing = await client.post(f"/internal/v1/messages/{uuid4()}/collect", headers=MAILER)
    assert (missing.status_code, problem_code(missing)) == (404, "message-not-found")
    await mailer.collect("email_confirmation")
    assert (await client.get("/internal/v1/messages", headers=MAILER)).json()["items"] == []


async def test_no_secret_or_contact_rests_anywhere(
    app: FastAPI, register: Register, mailer: Mailer, rows: Callable[..., Any]
) -> None:
    anna = await register(full_name="Канарейка")
    await ask(anna.client)
    key = key_of(await mailer.collect("password_reset"))
    told = json.dumps(await mailer.told("password_reset") + await mailer.told("email_confirmation"))
    assert not [word for word in (anna.email, "Канарейка", key) if word in told]
    tables = await rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for (table,) in tables:
        held = str(await rows(f'SELECT t::text FROM "{table}" t'))
        assert key not in held, table
        assert (anna.email in held) == (table == "users"), table


async def test_the_pages_work_without_scripts(register: Register, mailer: Mailer) -> None:
    anna = await register()
    client = anna.client
    await ask(client)
    link = (await mailer.collect("password_reset"))["link"]
    path = link.removeprefix("http://127.0.0.1:8080")
    page = await client.get(path, headers={"Accept-Language": "en"})
    assert "Choose a password" in page.text
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    key = re.search(r'name="key" value="([^"]+)"', page.text)
    assert key
    form = {"key": key[1], "new_password": "password123"}
    weak = await client.post("/account/reset-password", data=form)
    assert weak.status_code == 422
    assert "слишком простой" in weak.text
    assert "password123" not in weak.text
    done = await client.post("/account/reset-password", data=form | {"new_password": NEW})
    assert (done.status_code, "Пароль изменён" in done.text) == (200, True)
    assert (await anna.log_in(NEW)).status_code == 200
    dead = await client.post("/account/reset-password", data=form | {"new_password": NEW})
    assert (dead.status_code, "<form" in dead.text) == (422, False)
    # A program that opens links confirms nothing; the button does.
    path = (await mailer.collect("email_confirmation"))["link"].removeprefix("http://127.0.0.1:8080")
    await client.get(path)
    assert (await client.post("/account/confirm-email", data={"key": "x"})).status_code == 422
    confirmed = await client.post("/account/confirm-email", data={"key": path.partition("key=")[2]})
    assert "подтверждён" in confirmed.text
    hostile = await client.get("/account/confirm-email", params={"key": '"><script>'})
    assert "<script>" not in hostile.text
    for content in (b"\xff\xfe", b"key=%ff%00", b"&" * 40, b"key=x&" * 20):
        answer = await client.post("/account/confirm-email", content=content)
        assert answer.status_code == 422, content


async def test_links_are_printed_in_development_and_never_elsewhere(
    make_app: Callable[..., FastAPI], register: Register, rows: Callable[..., Any]
) -> None:
    anna: Person = await register()
    said: list[dict[str, Any]] = []
    resources = make_app(app_env="development").state.resources
    stop = asyncio.Event()
    original = development_mail.log
    spoken = asyncio.Event()

    def info(_: str, **fields: Any) -> None:
        said.append(fields)
        spoken.set()

    development_mail.log = type("Log", (), {"info": staticmethod(info)})()
    try:
        printing = asyncio.create_task(development_mail.print_letters(resources, stop))
        async with asyncio.timeout(10):
            await spoken.wait()
        stop.set()
        await printing
    finally:
        development_mail.log = original
    assert (
        await confirm(anna.client, parse_qs(urlsplit(said[0]["link"]).query)["key"][0])
    ).status_code == 204
    for elsewhere in ("test", "production"):
        settings = resources.settings.model_copy(update={"app_env": elsewhere})
        with pytest.raises(RuntimeError, match="development only"):
            await development_mail.print_letters(dataclasses.replace(resources, settings=settings), stop)
