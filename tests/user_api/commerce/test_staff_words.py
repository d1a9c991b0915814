"""What staff say of a payment under review and of a refund nobody knows the end of, through UserAPI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx

from shared.ids import new_id
from tests.user_api.commerce.conftest import Catalogue, Person
from tests.user_api.commerce.fakes import FakePayApi

AsService = Callable[[str], dict[str, str]]


async def under_review(anna: Person, catalogue: Catalogue, pay: FakePayApi) -> str:
    answer = await anna.buy(await catalogue.product("collection:base"), payment={"kind": "bank_transfer"})
    payment_id: str = answer.json()["payment"]["id"]
    pay.payments[UUID(payment_id)]["status"] = "needs_review"
    return payment_id


def word(**changes: Any) -> dict[str, Any]:
    return {"finding": "paid", "reason": "seen in\n the cabinet", "actor": "olga", **changes}


async def say(
    client: httpx.AsyncClient, payment_id: str, headers: dict[str, str], key: str, body: dict[str, Any]
) -> httpx.Response:
    path = f"/internal/v1/payments/{payment_id}/review-settlements"
    return await client.post(path, json=body, headers=headers | {"Idempotency-Key": key})


async def test_a_review_is_ended_once_and_the_user_sees_it(
    anna: Person, catalogue: Catalogue, client: httpx.AsyncClient, as_service: AsService, pay: FakePayApi
) -> None:
    payment_id = await under_review(anna, catalogue, pay)
    staff, key = as_service("admin-panel"), str(new_id())
    part = {"amount": 20_000, "currency": "RUB"}
    answers = [await say(client, payment_id, staff, key, word(amount=part)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    assert answers[0].json()["payment"]["status"] == "succeeded"
    assert pay.count("settle_review") == 1
    (sent,) = [body for name, body in pay.calls if name == "settle_review"]
    assert (sent["finding"], sent["amount"], sent["actor"]) == ("paid", part, "olga")
    assert sent["reason"] == "seen in the cabinet"
    assert (await anna.get(f"/v1/me/payments/{payment_id}")).json()["status"] == "succeeded"
    over = await say(client, payment_id, staff, str(new_id()), word(finding="voided"))
    assert (over.status_code, over.json()["type"]) == (409, "/problems/review-not-open")


async def test_who_may_say_it_and_what_is_refused(
    anna: Person, catalogue: Catalogue, client: httpx.AsyncClient, as_service: AsService, pay: FakePayApi
) -> None:
    payment_id = await under_review(anna, catalogue, pay)
    staff = as_service("admin-panel")
    assert (await say(client, payment_id, as_service("billing-api"), "k", word())).status_code == 403
    assert (await say(client, payment_id, {}, "k", word())).status_code == 401
    for changes in (
        {"finding": "lost"},
        {"amount": {"amount": 0, "currency": "RUB"}},
        {"amount": {"amount": -5, "currency": "RUB"}},
        {"transaction_id": "12a"},
        {"reason": "  "},
        {"actor": ""},
        {"invented": 1},
    ):
        assert (await say(client, payment_id, staff, "k", word(**changes))).status_code == 422, changes
    assert pay.payments[UUID(payment_id)]["status"] == "needs_review"
    path = f"/internal/v1/payments/{payment_id}/refund-confirmations"
    body = {"refund_id": str(new_id()), "finding": "lost", "reason": "x", "actor": "olga"}
    wrong = await client.post(path, json=body, headers=staff | {"Idempotency-Key": "k"})
    assert wrong.status_code == 422
    await client.post(path, json=body | {"finding": "not_sent"}, headers=staff | {"Idempotency-Key": "k2"})
    (sent,) = [body for name, body in pay.calls if name == "confirm_refund"]
    assert sent["finding"] == "not_sent"
