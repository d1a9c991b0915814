"""Charging: success, decline, saved methods, idempotency, one payment per invoice, bad input."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
import pytest

from pay_api.pay_service.charge_queued import charge_queued
from pay_api.pay_service.context import Context
from pay_api.pay_service.start_payment import StartPayment, start_payment
from pay_api.providers.bank_transfer import BankTransfer
from pay_api.providers.base import Charge, ChargeOutcome, MethodKind, ReceiptLine, Succeeded
from pay_api.vault import Payer
from shared.errors import AppError
from shared.ids import new_id
from shared.money import Money
from shared.pagination import encode_cursor
from tests.pay_api.conftest import OK, POOR, TOKEN_POOR, Pay, event_types, history


async def test_charge_succeeds_once_with_history_event_and_receipt(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay()
    assert view["captured"] == {"amount": 49_900, "currency": "RUB"}
    assert view["card_mask"] == "4000 00** **** 3055"
    assert view["events_url"].startswith(
        f"{pay.house.pay_url}/pay-api/v1/payments/{view['id']}/events?token="
    )
    assert await event_types(db, view["id"]) == ["payment.created", "payment.succeeded"]
    assert [status for status, _ in await history(db, view["id"])] == ["created", "processing", "succeeded"]
    (entry,) = await pay.oracle(view["user_id"])
    attempt = await db.fetchrow("SELECT * FROM payment_attempt WHERE payment_id = $1", UUID(view["id"]))
    assert entry["effect"] == "charged"
    assert entry["amount"] == 49_900
    assert entry["invoice_id"] == entry["request_id"] == str(attempt["id"])
    assert str(entry["transaction_id"]) == attempt["transaction_id"]


async def test_event_carries_the_whole_state_and_no_contacts(pay: Pay, db: asyncpg.Pool) -> None:
    view = await pay.pay()
    text = await db.fetchval(
        "SELECT envelope::text FROM outbox WHERE aggregate_id = $1 AND event_type = 'payment.succeeded'",
        UUID(view["id"]),
    )
    state = json.loads(text)["data"]
    assert state["status"] == "succeeded"
    assert state["captured"] == {"amount": 49_900, "currency": "RUB"}
    assert "viewer@example.com" not in text
    assert "203.0.113.7" not in text


async def test_decline_is_an_answer_in_the_payers_language(pay: Pay, db: asyncpg.Pool) -> None:
    body = pay.body(POOR)
    answer = await pay.start(body)
    assert answer.status_code == 201
    view = answer.json()
    assert view["status"] == "failed"
    assert view["decline"]["class"] == "soft"
    assert view["decline"]["code"] == "insufficient-funds"
    assert "Недостаточно средств" in view["decline"]["message"]
    assert await event_types(db, view["id"]) == ["payment.created", "payment.failed"]
    english = pay.body(POOR, payer={"locale": "en"})
    assert "not enough money" in (await pay.start(english)).json()["decline"]["message"]
    again = pay.body(OK, invoice_id=body["invoice_id"], user_id=body["user_id"])
    assert (await pay.start(again)).json()["status"] == "succeeded"


async def test_same_key_replays_and_another_body_is_refused(pay: Pay) -> None:
    body = pay.body()
    first, second = await pay.start(body), await pay.start(body)
    assert second.status_code == 201
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.json() == first.json()
    other = await pay.start({**body, "description": "another"}, body["payment_id"])
    assert other.status_code == 422
    assert other.json()["type"] == "/problems/idempotency-key-reused"
    assert await pay.effects(body["user_id"]) == [("charged", 49_900)]


async def test_same_payment_under_other_keys_is_charged_once(pay: Pay) -> None:
    body = pay.body()
    answers = await asyncio.gather(*(pay.insist("/v1/payments", body) for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {201}
    assert await pay.effects(body["user_id"]) == [("charged", 49_900)]


async def test_second_payment_of_a_paid_invoice_is_refused_before_anybody_heard(pay: Pay) -> None:
    """The double-charge window: the first success is still in the outbox when the second pay comes."""
    first = await pay.pay()
    second = pay.body(invoice_id=first["invoice_id"], user_id=first["user_id"])
    answer = await pay.start(second)
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/payment-in-progress"
    assert answer.json()["payment_id"] == first["id"]
    assert (await pay.get(f"/v1/payments/{second['payment_id']}")).status_code == 404
    assert await pay.effects(first["user_id"]) == [("charged", 49_900)]


async def test_parallel_payments_of_one_invoice_charge_once(pay: Pay) -> None:
    user_id, invoice_id = str(new_id()), str(new_id())
    bodies = [pay.body(user_id=user_id, invoice_id=invoice_id) for _ in range(10)]
    answers = await asyncio.gather(*(pay.insist("/v1/payments", body, body["payment_id"]) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert await pay.effects(user_id) == [("charged", 49_900)]


async def test_saved_card_is_encrypted_and_charged_by_the_worker(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    body = pay.body()
    body["method"]["save_method"] = True
    view = (await pay.start(body)).json()
    method_id = view["payment_method_id"]
    row = await db.fetchrow("SELECT * FROM payment_method WHERE id = $1", UUID(method_id))
    token = ctx.vault.open(row["token_encrypted"])
    assert token.startswith("tk_")
    assert token.encode() not in bytes(row["token_encrypted"])
    assert await event_types(db, method_id) == ["payment_method.saved"]
    listed = (await pay.get(f"/v1/customers/{body['user_id']}/payment-methods")).json()["items"]
    assert [item["id"] for item in listed] == [method_id]
    assert set(listed[0]) == {
        "id", "provider", "card_mask", "card_brand", "expires_month", "expires_year", "created_at",
    }  # fmt: skip
    saved = {"kind": "saved_method", "payment_method_id": method_id}
    renewal = pay.body(user_id=body["user_id"], initiator="merchant", method=saved, return_url=None)
    answer = await pay.start(renewal)
    assert answer.status_code == 202
    assert answer.json()["status"] == "created"
    while await charge_queued(ctx):
        pass
    assert (await pay.show(renewal["payment_id"]))["status"] == "succeeded"
    entries = await pay.oracle(body["user_id"])
    assert [entry["method"] for entry in entries] == ["payments/cards/charge", "payments/tokens/charge"]
    assert entries[1]["initiator_code"] == 0
    by_hand = pay.body(user_id=body["user_id"], method=saved)
    assert (await pay.start(by_hand)).json()["status"] == "succeeded"
    assert (await pay.oracle(body["user_id"]))[2]["initiator_code"] == 1


class OtherBank(BankTransfer):
    """A second provider that takes saved cards; its calls are kept."""

    name = "other_bank"
    methods = frozenset({MethodKind.SAVED_METHOD})
    charged: ClassVar[list[Charge]] = []

    async def charge(self, charge: Charge) -> ChargeOutcome:
        self.charged.append(charge)
        return Succeeded("77", charge.amount_minor, charge.currency, None, test_mode=False)


async def test_saved_card_is_charged_at_its_own_provider_alone(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    body = pay.body()
    body["method"]["save_method"] = True
    saved = (await pay.start(body)).json()
    wide = dataclasses.replace(ctx, providers={**ctx.providers, "other_bank": OtherBank({})})
    common: dict[str, Any] = {
        "user_id": UUID(body["user_id"]),
        "amount": Money(100, "RUB"),
        "description": "Премиум",
        "capture": "automatic",
        "payer": Payer(None, None),
        "locale": "ru",
        "receipt": (ReceiptLine("Премиум", 1, 100, None),),
        "return_url": None,
        "caller": "test",
        "method_kind": MethodKind.SAVED_METHOD,
        "payment_method_id": UUID(saved["payment_method_id"]),
        "provider": "other_bank",
    }
    for initiator in ("customer", "merchant"):
        command = StartPayment(new_id(), new_id(), initiator=initiator, **common)
        with pytest.raises(AppError) as refused:
            await start_payment(wide, command)
        assert refused.value.code == "payment-method-unusable"
        assert await db.fetchval("SELECT count(*) FROM payment WHERE id = $1", command.payment_id) == 0
    # Queued by a version that did not look: the worker does.
    queued = StartPayment(new_id(), new_id(), initiator="merchant", **{**common, "provider": "cloudpayments"})
    await start_payment(wide, queued)
    await db.execute("UPDATE payment SET provider = 'other_bank' WHERE id = $1", queued.payment_id)
    while await charge_queued(wide):
        pass
    assert (await pay.show(str(queued.payment_id)))["status"] == "failed"
    assert OtherBank.charged == []
    assert await pay.effects(body["user_id"]) == [("charged", 49_900)]


async def test_detached_card_is_never_charged_even_when_queued(
    pay: Pay, ctx: Context, db: asyncpg.Pool
) -> None:
    body = pay.body(TOKEN_POOR)
    body["method"]["save_method"] = True
    method_id = (await pay.start(body)).json()["payment_method_id"]
    saved = {"kind": "saved_method", "payment_method_id": method_id}
    queued = pay.body(user_id=body["user_id"], initiator="merchant", method=saved)
    assert (await pay.start(queued)).status_code == 202
    path = f"{pay.house.pay_url}/v1/customers/{body['user_id']}/payment-methods/{method_id}"
    headers = {"Authorization": "Bearer user-api-to-pay-api-token"}
    assert (await pay.http.delete(path, headers=headers)).status_code == 204
    assert (await pay.http.delete(path, headers=headers)).status_code == 204
    foreign = f"{pay.house.pay_url}/v1/customers/{new_id()}/payment-methods/{method_id}"
    assert (await pay.http.delete(foreign, headers=headers)).status_code == 404
    while await charge_queued(ctx):
        pass
    view = await pay.show(queued["payment_id"])
    assert view["status"] == "failed"
    assert view["decline"]["code"] == "payment-method-detached"
    refused = await pay.start(pay.body(user_id=body["user_id"], method=saved))
    assert refused.json()["type"] == "/problems/payment-method-unusable"
    assert await event_types(db, method_id) == ["payment_method.saved", "payment_method.detached"]
    assert await pay.effects(body["user_id"]) == [("charged", 49_900)]


async def test_queued_charge_waits_when_the_provider_takes_nothing(pay: Pay, ctx: Context) -> None:
    body = pay.body()
    body["method"]["save_method"] = True
    method_id = (await pay.start(body)).json()["payment_method_id"]
    saved = {"kind": "saved_method", "payment_method_id": method_id}
    queued = pay.body(user_id=body["user_id"], initiator="merchant", method=saved)
    await pay.start(queued)
    await pay.fault(kind="429", method="payments/tokens/charge", count=3)
    while await charge_queued(ctx):
        pass
    assert (await pay.show(queued["payment_id"]))["status"] == "created"
    pay.clock.advance(timedelta(minutes=2))
    while await charge_queued(ctx):
        pass
    assert (await pay.show(queued["payment_id"]))["status"] == "succeeded"
    assert await pay.effects(body["user_id"]) == [("charged", 49_900)] * 2


async def test_unreachable_provider_fails_a_customers_payment_honestly(pay: Pay) -> None:
    await pay.fault(kind="429", method="payments/cards/charge", count=3)
    view = await pay.pay(expect="failed")
    assert view["decline"]["class"] == "technical"
    assert view["decline"]["code"] == "provider-unavailable"
    assert await pay.effects(view["user_id"]) == []


_BAD: list[tuple[str, dict[str, Any], str]] = [
    ("no payment_id", {"payment_id": None}, "invalid-request"),
    ("not an id", {"user_id": "me"}, "invalid-request"),
    ("negative", {"amount": {"amount": -1, "currency": "RUB"}}, "invalid-request"),
    ("zero", {"amount": {"amount": 0, "currency": "RUB"}}, "invalid-request"),
    ("fraction", {"amount": {"amount": 1.5, "currency": "RUB"}}, "invalid-request"),
    ("text", {"amount": {"amount": "100", "currency": "RUB"}}, "invalid-request"),
    ("too large", {"amount": {"amount": 10**15, "currency": "RUB"}}, "invalid-request"),
    ("unknown currency", {"amount": {"amount": 100, "currency": "XXX"}}, "invalid-request"),
    ("initiator", {"initiator": "nobody"}, "invalid-request"),
    ("unknown field", {"status": "succeeded"}, "invalid-request"),
    ("script url", {"return_url": "javascript:alert(1)"}, "invalid-request"),
    ("method kind", {"method": {"kind": "cash"}}, "invalid-request"),
    ("empty receipt", {"receipt": {"lines": []}}, "invalid-request"),
    ("cryptogram", {"method": {"kind": "card_cryptogram", "card_cryptogram": "4242"}}, "cryptogram-invalid"),
    ("merchant card", {"initiator": "merchant"}, "initiator-needs-saved-method"),
    ("receipt sum", {"amount": {"amount": 100, "currency": "RUB"}}, "receipt-mismatch"),
    (
        "foreign method",
        {"method": {"kind": "saved_method", "payment_method_id": "018f0000-0000-7000-8000-000000000001"}},
        "payment-method-unusable",
    ),
]


@pytest.mark.parametrize(("changes", "code"), [row[1:] for row in _BAD], ids=[row[0] for row in _BAD])
async def test_bad_input_is_a_clear_problem_and_writes_nothing(
    pay: Pay, db: asyncpg.Pool, changes: dict[str, Any], code: str
) -> None:
    body = {**pay.body(), **changes}
    before = await db.fetchval("SELECT count(*) FROM payment")
    answer = await pay.start(body, str(new_id()))
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"/problems/{code}"
    assert await db.fetchval("SELECT count(*) FROM payment") == before


async def test_key_and_credential_are_required(pay: Pay) -> None:
    headers = {"Authorization": "Bearer user-api-to-pay-api-token"}
    answer = await pay.http.post(f"{pay.house.pay_url}/v1/payments", json=pay.body(), headers=headers)
    assert answer.json()["type"] == "/problems/idempotency-key-missing"
    wrong = await pay.http.get(f"{pay.house.pay_url}/v1/payments", headers={"Authorization": "Bearer x"})
    assert wrong.status_code == 401


async def test_list_walks_by_cursor(pay: Pay) -> None:
    user_id = str(new_id())
    made = [(await pay.pay(user_id=user_id))["id"] for _ in range(3)]
    first = (await pay.get("/v1/payments", user_id=user_id, limit=2)).json()
    second = (await pay.get("/v1/payments", user_id=user_id, limit=2, cursor=first["next_cursor"])).json()
    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None
    for cursor in ("zzz", encode_cursor(["0001-01-01T00:00:00+23:59", str(new_id())])):
        assert (await pay.get("/v1/payments", cursor=cursor)).status_code == 400
    assert (await pay.get("/v1/payments", limit=0)).status_code == 422


async def test_saved_cards_are_walked_by_cursor(pay: Pay) -> None:
    user_id, made = str(new_id()), []
    for pan in (OK, TOKEN_POOR):
        body = pay.body(pan, user_id=user_id)
        body["method"]["save_method"] = True
        made.append((await pay.start(body)).json()["payment_method_id"])
    path = f"/v1/customers/{user_id}/payment-methods"
    first = (await pay.get(path, limit=1)).json()
    second = (await pay.get(path, limit=1, cursor=first["next_cursor"])).json()
    assert [item["id"] for item in first["items"] + second["items"]] == made
    assert second["next_cursor"] is None
    assert (await pay.get(path, cursor="zzz")).status_code == 400
    assert (await pay.get(path, limit=0)).status_code == 422


async def test_a_lock_not_had_in_time_is_503_and_the_same_key_goes_on(pay: Pay, db: asyncpg.Pool) -> None:
    """Somebody holds the invoice: the caller hears "come again" within seconds, and nothing is lost."""
    body = pay.body()
    async with db.acquire() as holder, holder.transaction():
        await holder.execute(
            "INSERT INTO payment_invoice (invoice_id, created_at) VALUES ($1, now())",
            UUID(body["invoice_id"]),
        )
        answer = await pay.start(body)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/database-busy")
    assert answer.headers["retry-after"] == "1"
    assert await pay.effects(body["user_id"]) == []
    pay.clock.advance(timedelta(seconds=90))  # the broken run's lease of the key ends
    assert (await pay.start(body)).json()["status"] == "succeeded"
    assert await pay.effects(body["user_id"]) == [("charged", 49_900)]
