"""A person's account from its first letter to its erasure, on a whole stack; then nothing is found."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import psycopg2
import pytest
import redis

from deploy.local.environment import REDIS
from deploy.local.stack import LocalStack
from shared.queue import broker
from tests.e2e.bus import STREAMS
from tests.e2e.customer import Customer
from tests.e2e.stack import Stack
from tests.e2e.transcript import Transcript

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(400)]

PHONE = "+79160004455"
NAME = "Дарья Канарейкина-Стёртая"
NEW_PASSWORD = "quite another password 8f3"
CARD = "4000000000003055"
CONSENT = {"text_version": "2026-01", "accepted": True}


class Person(Customer):
    """Remembers every secret it has had in its hands."""

    def __init__(self, *arguments: Any) -> None:
        self.secrets: dict[str, str] = {}
        super().__init__(*arguments)

    def _take_tokens(self, answer: dict[str, Any]) -> None:
        super()._take_tokens(answer)
        number = len(self.secrets)
        self.secrets |= {f"access token {number}": self.access_token}
        self.secrets |= {f"refresh token {number}": self.refresh_token}


def secrets_of(stack: LocalStack) -> dict[str, str]:
    """What the suite itself keeps secret: passwords of servers, tokens between services, keys."""
    return {f"secret {name}": value for name, value in stack.state.secrets().items() if len(value) >= 12}


def logs(stack: LocalStack, service: str | None = None) -> dict[str, str]:
    """What every process and server of the stack has written, the gateway's access log too."""
    paths = stack.log_files(service) + ([] if service else stack.log_files("gateway"))
    return {path.name: path.read_text(errors="replace") for path in paths if path.exists()}


def forms(value: str) -> list[str]:
    """How a value may stand in a text: as it is, as JSON, as escaped JSON, as bytes of a column."""
    return [value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], value.encode().hex()]


def found_in(held: str, words: dict[str, str]) -> list[str]:
    return [name for name, value in words.items() if any(form in held for form in forms(value))]


async def link(stack: LocalStack, kind: str, user_id: str) -> str:
    """The key of this person's newest link of this kind that user-worker has printed, waiting for it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        text = "".join(logs(stack, "user-worker").values())
        lines = [json.loads(line) for line in text.splitlines() if '"development-mail"' in line]
        own = messages_of(stack, user_id)
        found = [line["link"] for line in lines if line.get("kind") == kind and line["message_id"] in own]
        if found:
            return str(parse_qs(urlsplit(found[-1]).query)["key"][0])
        await asyncio.sleep(0.2)
    raise AssertionError(f"no {kind} was printed")


def messages_of(stack: LocalStack, user_id: str) -> set[str]:
    """Other people of the same stack are written to as well."""
    connection = psycopg2.connect(stack.urls()["databases"]["users"])  # type: ignore[index]
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT id::text FROM account_messages WHERE user_id = %s", (user_id,))
            return {row[0] for row in cursor.fetchall()}
    finally:
        connection.close()


def in_databases(stack: LocalStack, words: dict[str, str]) -> list[tuple[str, str, str]]:
    hits = []
    for database, url in stack.urls()["databases"].items():  # type: ignore[attr-defined]
        connection = psycopg2.connect(url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
                for (table,) in cursor.fetchall():
                    cursor.execute(f'SELECT t::text FROM "{table}" t')
                    held = "\n".join(row[0] for row in cursor.fetchall())
                    hits += [(database, table, name) for name in found_in(held, words)]
        finally:
            connection.close()
    return hits


def in_redis(stack: LocalStack, words: dict[str, str]) -> list[tuple[str, str]]:
    """Names and values of every key, whatever its type."""
    hits = []
    for purpose in REDIS:
        client: Any = redis.Redis.from_url(stack.addresses().redis(purpose))
        read: dict[bytes, Callable[[bytes], Any]] = {
            b"string": client.get,
            b"hash": client.hgetall,
            b"set": client.smembers,
            b"list": partial(client.lrange, start=0, end=-1),
            b"zset": partial(client.zrange, start=0, end=-1),
            b"stream": client.xrange,
            b"none": lambda _: b"",  # it has expired meanwhile
        }
        try:
            for key in client.scan_iter():
                held = _text(key) + _text(read[client.type(key)](key))
                hits += [(purpose, name) for name in found_in(held, words)]
        finally:
            client.close()
    return hits


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace") + "\n"
    if isinstance(value, dict):
        return "".join(_text(key) + _text(item) for key, item in value.items())
    if isinstance(value, (list, tuple, set)):
        return "".join(map(_text, value))
    return str(value) + "\n"


async def in_streams(stack: LocalStack, words: dict[str, str]) -> list[tuple[str, str]]:
    """Both streams from their first message to where they end now."""
    hits: list[tuple[str, str]] = []
    amqp = str(stack.urls()["amqp"])
    for stream in STREAMS:
        async with (
            broker.connected(amqp, "personal-data") as connection,
            aclosing(broker.read_stream(connection, stream, "first")) as messages,
        ):
            while True:
                try:
                    async with asyncio.timeout(3):
                        message = await anext(messages)
                except TimeoutError:
                    break
                hits += [(stream, name) for name in found_in(message.body.decode(), words)]
    return hits


def in_logs(stack: LocalStack, words: dict[str, str]) -> list[tuple[str, str]]:
    return [(file, name) for file, held in logs(stack).items() for name in found_in(held, words)]


async def refused_within_two_seconds(person: Person, what: str) -> None:
    """BillingAPI refuses the present token, of a session just ended, 2 s after the answer at the latest."""
    started = time.monotonic()
    headers = {"Authorization": f"Bearer {person.access_token}"}
    while True:
        answer = await person._http.get("/billing-api/v1/me/account", headers=headers)
        took = time.monotonic() - started
        if answer.status_code == 401:
            break
        assert answer.status_code == 200, answer.text
        assert took < 10, f"{what}: BillingAPI still takes the token"
        await asyncio.sleep(0.05)
    print(f"{what}: BillingAPI refuses after {took:.2f} s")
    assert took <= 2, what


async def operator_post(stack: Stack, path: str) -> None:
    headers = {
        "Authorization": f"Bearer {stack.operator_tokens['user-api']}",
        "Idempotency-Key": str(uuid4()),
    }
    async with httpx.AsyncClient(base_url=stack.urls["user_api"], timeout=20, trust_env=False) as http:
        answer = await http.post(path, json={"reason": "a test"}, headers=headers)
    assert answer.status_code == 200, answer.text


async def buy(person: Person) -> dict[str, Any]:
    products = (await person.call("GET", "/user-api/v1/products?limit=100"))["items"]
    product = next(item for item in products if item["slug"] == "premium")
    payment = await person.card(CARD)
    person.secrets["cryptogram"] = payment["card_cryptogram"]
    person.secrets["card holder"] = payment["cardholder_name"]
    body = {"product_id": product["id"], "payment": payment, "consent": CONSENT}
    return await person.call("POST", "/user-api/v1/me/subscriptions", body, expect=201)


async def letters(person: Person, local: LocalStack) -> None:
    """The address is confirmed; a forgotten password is replaced on the page a browser would open."""
    key = person.secrets["key of the confirmation"] = await link(local, "email_confirmation", person.user_id)
    await person.call("POST", "/user-api/v1/auth/email-confirmations/complete", {"key": key}, expect=204)
    assert (await person.call("GET", "/user-api/v1/me"))["email_confirmed_at"]
    ask = {"email": person.email}
    await person.call("POST", "/user-api/v1/auth/password-resets", ask, expect=202)
    key = person.secrets["key of the reset"] = await link(local, "password_reset", person.user_id)
    page = await person._http.get(f"/account/reset-password?key={key}")
    assert page.status_code == 200
    assert re.search(r'name="key"', page.text)
    form = {"key": key, "new_password": NEW_PASSWORD}
    assert (await person._http.post("/account/reset-password", data=form)).status_code == 200
    person.password = person.secrets["new password"] = NEW_PASSWORD


async def revocations(person: Person, stack: Stack) -> None:
    """The ends of sessions, one kind after another, as BillingAPI learns of them."""
    await person.log_in()
    await person.call("DELETE", "/user-api/v1/auth/sessions", expect=204)
    await refused_within_two_seconds(person, "all sessions ended")
    await person.log_in()
    body = {"refresh_token": person.refresh_token}
    await person.call("POST", "/user-api/v1/auth/logout", body, expect=204)
    await refused_within_two_seconds(person, "logged out")
    await person.log_in()
    await operator_post(stack, f"/internal/v1/users/{person.user_id}/end-sessions")
    await refused_within_two_seconds(person, "sessions ended by staff")
    await person.log_in()
    await operator_post(stack, f"/internal/v1/users/{person.user_id}/block")
    await refused_within_two_seconds(person, "blocked")
    await operator_post(stack, f"/internal/v1/users/{person.user_id}/unblock")
    await person.log_in()


async def erased(person: Person, stack: Stack, local: LocalStack, contacts: dict[str, str]) -> None:
    """Erases the account and waits until every service has done its part."""
    headers = {"Authorization": f"Bearer {person.access_token}"}
    confirm = {"current_password": NEW_PASSWORD}
    answer = await person._http.request("DELETE", "/user-api/v1/me", headers=headers, json=confirm)
    assert answer.status_code == 202, answer.text
    await refused_within_two_seconds(person, "erased")
    login = {"email": person.email, "password": NEW_PASSWORD}
    assert (await person._http.post("/user-api/v1/auth/login", json=login)).status_code == 401
    deadline = time.monotonic() + 20
    while True:
        act = await stack.operator_get("user-api", f"/internal/v1/users/{person.user_id}/erasure")
        left = in_databases(local, contacts)
        if act["completed_at"] and not left:
            return
        assert time.monotonic() < deadline, (act, left)
        await asyncio.sleep(0.3)


async def test_from_the_first_letter_to_the_erasure(stack: Stack, running_stack: LocalStack) -> None:
    person, local = Person("Daria", stack, Transcript()), running_stack
    person.email = f"daria.canary.{person.email}"
    person.secrets["password"] = person.password
    await person.register()
    await person.call("PATCH", "/user-api/v1/me", {"full_name": NAME, "phone": PHONE})
    await letters(person, local)
    await refused_within_two_seconds(person, "password reset")
    await revocations(person, stack)
    await buy(person)
    await person.until(
        "/user-api/v1/me/payments", lambda body: body["items"][0]["status"] == "succeeded", "paid"
    )
    await person.until(
        "/user-api/v1/me/access-rights", lambda body: len(body["items"]) > 0, "rights are granted"
    )

    # A copy of everything. What is searched for below is found where it must be: the search works.
    confirm = {"current_password": NEW_PASSWORD}
    copy = await person.call("POST", "/user-api/v1/me/data-export", confirm)
    assert (copy["profile"]["full_name"], copy["profile"]["phone"]) == (NAME, PHONE)
    assert copy["payments"]
    assert copy["invoices"]
    contacts = {"e-mail": person.email, "name": NAME, "phone": PHONE}
    assert {(hit[0], hit[2]) for hit in in_databases(local, contacts)} >= {
        ("users", "e-mail"),
        ("users", "name"),
        ("users", "phone"),
        ("billing", "e-mail"),
        ("billing", "name"),
    }
    known = {"user": person.user_id}
    assert {purpose for purpose, _ in in_redis(local, known)} >= {"cache", "session"}
    assert {stream for stream, _ in await in_streams(local, known)} == set(STREAMS)
    assert "user-api" in {file.partition(".")[0] for file, _ in in_logs(local, known)}
    written = {file.partition(".")[0] for file, text in logs(local).items() if len(text) > 500}
    assert written >= {"user-api", "user-worker", "pay-api", "pay-worker", "billing-api", "access"}

    await erased(person, stack, local, contacts)

    # Neither contacts nor secrets are anywhere: databases, Redis, streams, logs.
    own = contacts | person.secrets | {"card number": CARD}
    everything = own | secrets_of(local)
    assert len(own) >= 18
    assert len(everything) >= len(own) + 20
    assert in_databases(local, own) == []
    assert in_redis(local, own) == []
    assert await in_streams(local, everything) == []
    # In development alone links stand in user-worker's log, for whoever has no mailer.
    printed = {("user-worker", "key of the confirmation"), ("user-worker", "key of the reset")}
    hits = {(file.partition(".")[0], name) for file, name in in_logs(local, everything)}
    assert hits == printed
