"""A person's data: a copy, and its erasure: at once, never beside moving money, finished after a kill."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.failpoints import SETTING
from tests.servers import DatabaseUrls
from tests.user_api.accounts.conftest import problem_code
from tests.user_api.commerce.conftest import CONSENT, Catalogue, Person, SignUp, card
from tests.user_api.commerce.fakes import FakeBillingApi, FakePayApi
from user_api.resources import Resources
from user_api.user_service.erase_user import erase_user, finish_erasure, list_unfinished

PASSWORD = "correct horse battery"
ROOT = Path(__file__).resolve().parents[3]
ROUNDS = 5 * int(os.environ.get("TEST_ROUNDS", "1"))
CANARIES = {
    "email": "canary.erased@example.com",
    "full_name": "Канарейкина Стёртая",
    "phone": "+79161234567",
}


async def erase(person: Person, password: str = PASSWORD) -> httpx.Response:
    client = person._client
    body = {"current_password": password}
    return await client.request("DELETE", "/v1/me", headers=person.headers, json=body)


async def everything(rows: Callable[..., Any], resources: Resources) -> str:
    """All text of all tables and of Redis."""
    held = ""
    for (table,) in await rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        held += str([row[0] for row in await rows(f'SELECT t::text FROM "{table}" t')])
    redis = resources.session_redis
    async for key in redis.scan_iter():
        kind = await redis.type(key)
        held += f"{key} {await redis.hgetall(key) if kind == 'hash' else await redis.get(key)}"
    return held


@pytest.fixture
async def customer(sign_up: SignUp, catalogue: Catalogue, billing: FakeBillingApi, deliver: Any) -> Person:
    """Someone with contacts, a paid subscription, a consent and a saved card."""
    person = await sign_up(CANARIES["email"])
    profile = {name: CANARIES[name] for name in ("full_name", "phone")}
    assert (await person.patch("/v1/me", profile)).status_code == 200
    product = await catalogue.product("feature:hd")
    bought = await person.buy(product, payment=card(save=True), consent=CONSENT)
    assert bought.status_code == 201, bought.text
    billing.settle(UUID(bought.json()["subscription"]["id"]))
    await deliver()
    assert await person.may("feature:hd")
    return person


async def test_nobody_is_behind_an_erased_account(
    customer: Person, resources: Resources, rows: Callable[..., Any], pay: FakePayApi, deliver: Any
) -> None:
    before = await everything(rows, resources)
    masks = [row[0] for row in await rows("SELECT card_mask FROM payment_methods")]
    assert all(value in before for value in (*CANARIES.values(), *masks))
    done = await erase(customer)
    assert done.status_code == 202, done.text
    await deliver()
    after = await everything(rows, resources)
    left = [value for value in (*CANARIES.values(), *masks, "canary.erased") if value and value in after]
    assert left == []
    assert (await customer.get("/v1/me")).status_code == 401
    login = {"email": CANARIES["email"], "password": PASSWORD}
    assert (await customer._client.post("/v1/auth/login", json=login)).status_code == 401
    (user,) = await rows("SELECT status, token_epoch, full_name, phone FROM users")
    assert tuple(user) == ("erased", 2, None, None)
    assert [row[0] for row in await rows("SELECT status FROM recurring_payments")] == ["revoked"]
    assert pay.count("erase") == 1
    events = [json.loads(row[0]) for row in await rows("SELECT envelope FROM outbox ORDER BY id")]
    (erased,) = [event for event in events if event["type"] == "user.erased"]
    assert (erased["data"]["status"], erased["data"]["token_epoch"]) == ("erased", 2)
    actions = await rows("SELECT actor, action FROM account_actions")
    assert [tuple(row) for row in actions] == [("user", "user.erased")]
    # What was paid and consented to is still there, under the bare id.
    assert len(await rows("SELECT 1 FROM payments WHERE user_id = $1", customer.id)) == 1


async def test_the_act_of_erasure_is_shown_to_staff_only(customer: Person, as_service: Any) -> None:
    path = f"/internal/v1/users/{customer.id}/erasure"
    get = customer._client.get
    assert problem_code(await get(path, headers=as_service("admin-panel"))) == "erasure-not-found"
    await erase(customer)
    assert (await get(path, headers=as_service("billing-api"))).status_code == 403
    act = (await get(path, headers=as_service("admin-panel"))).json()
    steps = ("requested_at", "anonymised_at", "sessions_forgotten_at", "payments_erased_at", "completed_at")
    assert all(act[step] for step in steps)
    assert not [value for value in CANARIES.values() if value in json.dumps(act, ensure_ascii=False)]


async def test_the_address_is_free_for_a_new_account(customer: Person, sign_up: SignUp) -> None:
    await erase(customer)
    again = await sign_up(CANARIES["email"])
    assert again.id != customer.id
    assert (await again.get("/v1/me/payments")).json()["items"] == []
    assert not await again.may("feature:hd")


async def test_needs_the_password(customer: Person, rows: Callable[..., Any]) -> None:
    wrong = await erase(customer, "not the password")
    assert (wrong.status_code, problem_code(wrong)) == (403, "password-incorrect")
    keyless = await customer._client.request("DELETE", "/v1/me", headers=customer.headers)
    assert keyless.status_code == 422
    assert (await rows("SELECT status FROM users"))[0][0] == "active"


@pytest.mark.parametrize("where", ["intent", "payment", "refund"])
async def test_is_refused_while_money_is_on_its_way(
    customer: Person, rows: Callable[..., Any], pay: FakePayApi, resources: Resources, where: str
) -> None:
    match where:
        case "intent":  # PayAPI has not answered yet
            await rows("UPDATE payments SET status = 'created', known_at = NULL")
        case "payment":
            await rows("UPDATE payments SET status = 'action_required'")
        case "refund":
            (payment,) = pay.payments.values()
            payment["refunds"].append({"id": "r", "status": "processing"})
    before = await rows("SELECT * FROM users")
    refused = await erase(customer)
    assert (refused.status_code, problem_code(refused)) == (409, "payment-in-progress")
    assert await rows("SELECT * FROM users") == before
    assert await rows("SELECT 1 FROM erasures") == []
    assert (await customer.get("/v1/me")).status_code == 200


async def test_pay_api_away_makes_it_wait_not_fail(
    customer: Person, resources: Resources, rows: Callable[..., Any], pay: FakePayApi
) -> None:
    pay.crash("erase", "after", times=9)
    assert (await erase(customer)).status_code == 202
    assert await list_unfinished(resources.commerce, 10) == [customer.id]
    assert CANARIES["email"] not in await everything(rows, resources)
    pay.faults.clear()
    for _ in range(2):
        assert await finish_erasure(resources.commerce, resources.session_store, customer.id)
    assert await list_unfinished(resources.commerce, 10) == []


async def test_twice_at_once_is_one_erasure(customer: Person, rows: Callable[..., Any]) -> None:
    answers = await asyncio.gather(*(erase(customer) for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {202, 401, 403, 404}
    assert [answer.status_code for answer in answers].count(202) >= 1
    assert len(await rows("SELECT 1 FROM erasures")) == 1
    assert len(await rows("SELECT 1 FROM outbox WHERE event_type = 'user.erased'")) == 1


async def test_r14_erasure_against_a_payment(
    sign_up: SignUp,
    catalogue: Catalogue,
    billing: FakeBillingApi,
    pay: FakePayApi,
    rows: Callable[..., Any],
    resources: Resources,
) -> None:
    """Either the payment was over before the erasure, or one of the two is refused; never both."""
    order, seen = random.Random(20261125), set()
    product = await catalogue.product("feature:hd")
    for number in range(ROUNDS):
        person = await sign_up(f"r14.{number}@example.com")
        (row,) = await rows("SELECT password_hash FROM users WHERE id = $1", person.id)

        async def pays(who: Person = person, wait: float = order.uniform(0, 0.05)) -> int:
            await asyncio.sleep(wait)
            return (await who.buy(product)).status_code

        async def goes(
            who: Person = person, known: str = row[0], wait: float = order.uniform(0, 0.05)
        ) -> str:
            await asyncio.sleep(wait)
            try:
                await erase_user(resources.commerce, who.id, known)
            except Exception as error:
                return str(getattr(error, "code", error))
            return "erased"

        paid, gone = await asyncio.gather(pays(), goes())
        seen.add((paid, gone))
        begun = await rows("SELECT status, known_at FROM payments WHERE user_id = $1", person.id)
        if gone == "erased":
            assert paid in (201, 401, 404, 409), paid
            # What began, began before and had ended: nothing moves behind an erased account.
            assert all(status not in ("created", "processing", "unknown") for status, _ in begun), begun
            assert (paid == 201) == bool(begun)
        else:
            assert gone == "payment-in-progress", gone
            assert paid == 201, paid
        assert f"r14.{number}@" not in str(await rows("SELECT t::text FROM users t WHERE status = 'erased'"))
    assert len(seen) >= 1


async def test_no_payment_begins_behind_an_erased_account(
    customer: Person, resources: Resources, rows: Callable[..., Any], as_service: Any
) -> None:
    """Collection included: BillingAPI may ask before it has heard of the erasure."""
    (subscription,) = await rows("SELECT id FROM user_products")
    await erase(customer)
    key = "018f4e5c-0000-7000-8000-00000000c011"
    body = {
        "user_id": str(customer.id),
        "subscription_id": str(subscription[0]),
        "invoice_id": "018f4e5c-0000-7000-8000-00000000c012",
        "amount": {"amount": 49900, "currency": "RUB"},
        "description": "Подписка",
        "receipt": {
            "lines": [
                {
                    "label": "Подписка",
                    "quantity": 1,
                    "amount": {"amount": 49900, "currency": "RUB"},
                    "vat_rate_bp": 2000,
                }
            ]
        },
    }
    headers = as_service("billing-api") | {"Idempotency-Key": key}
    refused = await customer._client.post("/internal/v1/payments", headers=headers, json=body)
    assert (refused.status_code, problem_code(refused)) == (409, "no-consent")
    assert len(await rows("SELECT 1 FROM payments")) == 1


async def test_k24_killed_midway_is_taken_up_by_the_worker(
    customer: Person,
    resources: Resources,
    rows: Callable[..., Any],
    database: DatabaseUrls,
    empty_redis: str,
    jwt_keys_dir: Path,
) -> None:
    """The process dies by SIGKILL between the commit and PayAPI; the next run finishes the same act."""
    (row,) = await rows("SELECT password_hash FROM users")
    environment = os.environ | {
        "APP_ENV": "test",
        SETTING: "erasure.mid_way=kill",
        "DATABASE_URL": database.service,
        "CACHE_REDIS_URL": empty_redis,
        "SESSION_REDIS_URL": empty_redis,
        "JWT_KEYS_DIR": str(jwt_keys_dir),
        "USER_ID": str(customer.id),
        "PASSWORD_HASH": row[0],
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.user_api.commerce.erasing_process", cwd=ROOT, env=environment
    )
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    (act,) = await rows("SELECT id, anonymised_at, payments_erased_at, completed_at FROM erasures")
    assert (act["payments_erased_at"], act["completed_at"]) == (None, None)
    assert CANARIES["email"] not in str(await rows("SELECT t::text FROM users t"))
    for user_id in await list_unfinished(resources.commerce, 10):
        assert await finish_erasure(resources.commerce, resources.session_store, user_id)
    (done,) = await rows("SELECT id, completed_at FROM erasures")
    assert done["id"] == act["id"]
    assert done["completed_at"] is not None
    assert len(await rows("SELECT 1 FROM outbox WHERE event_type = 'user.erased'")) == 1


async def export(person: Person, password: str = PASSWORD) -> httpx.Response:
    return await person._client.post(
        "/v1/me/data-export", headers=person.headers, json={"current_password": password}
    )


async def test_a_copy_of_everything(
    customer: Person, sign_up: SignUp, catalogue: Catalogue, rows: Callable[..., Any]
) -> None:
    boris = await sign_up("boris@example.com")
    await boris.buy(await catalogue.product("feature:uhd"))
    answer = await export(customer)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="my-data.json"'
    document = answer.json()
    assert {name: document["profile"][name] for name in CANARIES} == CANARIES
    for part in ("payments", "invoices", "subscriptions", "purchases", "consents", "payment_methods"):
        assert len(document[part]) == 1, part
    assert document["consents"][0]["text_version"] == CONSENT["text_version"]
    assert [right["resource"] for right in document["access_rights"]] == ["feature:hd"]
    assert len(document["sessions"]) == 1
    (row,) = await rows("SELECT password_hash FROM users WHERE id = $1", customer.id)
    assert row[0] not in answer.text
    assert "boris" not in answer.text
    assert str(boris.id) not in answer.text
    wrong = await export(customer, "not the password")
    assert (wrong.status_code, problem_code(wrong)) == (403, "password-incorrect")


async def test_every_table_of_a_person_is_in_the_copy(rows: Callable[..., Any]) -> None:
    """A table with a user_id that nobody exports fails here; the others are named with the reason."""
    from user_api.user_service.export_data import TABLES

    found = await rows(
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name = 'user_id'"
    )
    exported = {name for (name,) in found if any(f"FROM {name} " in sql for sql in TABLES.values())}
    left_out = {
        "payments",  # PayAPI's own list stands for the copy here
        "access_versions",  # a counter
        "erasures",  # its subject has no account any more
    }
    assert {name for (name,) in found} == exported | left_out
