"""Races on a real Postgres, each beside a naive twin that loses; one charge by the oracle's word."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from pay_api import repository
from pay_api.pay_service.charge_queued import charge_queued
from pay_api.pay_service.context import Context
from pay_api.pay_service.reconcile import reconcile
from shared.ids import new_id
from tests.pay_api.conftest import OK_3DS, TOKEN, House, Pay, event_types
from tests.pay_api.rounds import rounds
from tests.pay_api.test_threeds import bank_answers, challenged, local
from tests.pay_api.test_webhooks import attempt_of, fields, tell

CALLERS = 12
WORKERS = 20


# What a caller of the same key may hear meanwhile; on a machine that is too busy, also "come again".
REFUSED = {(409, "/problems/request-in-progress"), (409, "/problems/payment-in-progress")}
BUSY = {(503, "/problems/database-busy")}


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"]


def shapes(short: tuple[int, ...], full: tuple[int, ...]) -> list[Any]:
    """The short shape in `make test`; the full one of the reliability page in `make test-long`."""
    return [pytest.param(*short, id="short"), pytest.param(*full, id="full", marks=pytest.mark.long)]


@pytest.fixture
async def naive(house: House) -> AsyncIterator[asyncpg.Pool]:
    """Tables without constraints and code without locks: what the twins do."""
    async with asyncpg.create_pool(house.owner_dsn, min_size=CALLERS, max_size=CALLERS) as pool:
        await pool.execute(
            "CREATE TABLE naive_charge (invoice uuid, key uuid, amount int);"
            "CREATE TABLE naive_method (id uuid, active boolean)"
        )
        yield pool
        await pool.execute("DROP TABLE naive_charge, naive_method")


async def naive_pay(pool: asyncpg.Pool, column: str, value: UUID, limit: int = 1, amount: int = 1) -> None:
    """Looks whether there is room, goes to the provider, writes."""
    spent = f"SELECT coalesce(sum(amount), 0) FROM naive_charge WHERE {column} = $1"
    if await pool.fetchval(spent, value) + amount <= limit:
        await asyncio.sleep(0.05)
        await pool.execute(f"INSERT INTO naive_charge ({column}, amount) VALUES ($1, $2)", value, amount)


@pytest.mark.parametrize(("callers", "repeats"), shapes((CALLERS, 5), (50, 100)))
async def test_r3_same_key(pay: Pay, db: asyncpg.Pool, callers: int, repeats: int) -> None:
    for _ in range(repeats * rounds()):
        body = pay.body()
        answers = await asyncio.gather(*(pay.start(body) for _ in range(callers)))
        good = [answer for answer in answers if answer.status_code == 201]
        assert good
        # A replayed answer comes from jsonb, which keeps no order of members.
        assert all(answer.json() == good[0].json() for answer in good)
        rest = [answer for answer in answers if answer.status_code != 201]
        assert {problem_of(answer) for answer in rest} <= (REFUSED if callers == CALLERS else REFUSED | BUSY)
        assert await pay.effects(body["user_id"]) == [("charged", 49_900)]
        assert await event_types(db, body["payment_id"]) == ["payment.created", "payment.succeeded"]


@pytest.mark.parametrize(("callers", "repeats"), shapes((CALLERS, 5), (50, 100)))
async def test_r4_different_keys_of_one_invoice(
    pay: Pay, db: asyncpg.Pool, callers: int, repeats: int
) -> None:
    for _ in range(repeats * rounds()):
        invoice_id, user_id = str(new_id()), str(new_id())
        bodies = [pay.body(invoice_id=invoice_id, user_id=user_id) for _ in range(callers)]
        answers = await asyncio.gather(
            *(pay.insist("/v1/payments", body, body["payment_id"]) for body in bodies)
        )
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * (callers - 1)
        (won,) = [answer.json()["id"] for answer in answers if answer.status_code == 201]
        refusals = [answer.json() for answer in answers if answer.status_code == 409]
        assert {(item["type"], item["payment_id"]) for item in refusals} == {
            ("/problems/payment-in-progress", won)
        }
        # After the success, and nobody has consumed its event: the outbox row is still unpublished.
        unpublished = "SELECT count(*) FROM outbox WHERE aggregate_id = $1 AND published_at IS NULL"
        assert await db.fetchval(unpublished, UUID(won)) == 2
        late = await pay.start(pay.body(invoice_id=invoice_id, user_id=user_id))
        assert (late.status_code, late.json()["payment_id"]) == (409, won)
        assert await pay.effects(user_id) == [("charged", 49_900)]


async def test_naive_twin_of_r3_and_r4_charges_twice(naive: asyncpg.Pool) -> None:
    for column in ("key", "invoice"):
        value = new_id()
        await asyncio.gather(*(naive_pay(naive, column, value) for _ in range(CALLERS)))
        count = await naive.fetchval(f"SELECT count(*) FROM naive_charge WHERE {column} = $1", value)
        assert count > 1


async def _refund(pay: Pay, payment_id: str, amount: int) -> int:
    order = str(new_id())
    body = {
        "refund_order_id": order,
        "amount": {"amount": amount, "currency": "RUB"},
        "reason": "asked",
    }
    return (await pay.insist(f"/v1/payments/{payment_id}/refunds", body, order)).status_code


@pytest.mark.parametrize("count", shapes((20,), (500,)))
async def test_r5_refund_storm(pay: Pay, count: int) -> None:
    """Whole refunds asked for twice at once by twenty workers, and twenty-one tenths of one payment."""
    turns = asyncio.Semaphore(WORKERS)

    async def paid() -> dict[str, Any]:
        async with turns:
            view = (await pay.start(pay.body())).json()
            return await pay.until(view["id"], "succeeded")  # a busy machine may learn it by notification

    async def refunded(payment_id: str) -> int:
        async with turns:
            return await _refund(pay, payment_id, 49_900)

    payments = await asyncio.gather(*(paid() for _ in range(count * rounds())))
    wishes = [view["id"] for view in payments for _ in range(2)]
    random.shuffle(wishes)
    statuses = await asyncio.gather(*(refunded(payment_id) for payment_id in wishes))
    assert statuses.count(201) == len(payments)
    assert set(statuses) <= {201, 409, 422}
    for view in payments:
        assert await pay.effects(view["user_id"]) == [("charged", 49_900), ("refunded", 49_900)]
    tenths = await pay.pay(amount=1_000)
    statuses = await asyncio.gather(*(_refund(pay, tenths["id"], 100) for _ in range(21)))
    assert statuses.count(201) == 10
    effects = await pay.effects(tenths["user_id"])
    assert effects[1:] == [("refunded", 100)] * 10
    shown = await pay.show(tenths["id"])
    assert (shown["status"], shown["refunded"]["amount"]) == ("refunded", 1_000)


async def test_naive_twin_of_r5_refunds_too_much(naive: asyncpg.Pool) -> None:
    payment_id = new_id()
    await asyncio.gather(*(naive_pay(naive, "key", payment_id, limit=10) for _ in range(21)))
    assert await naive.fetchval("SELECT sum(amount) FROM naive_charge") > 10


@pytest.mark.parametrize("repeats", shapes((8,), (500,)))
async def test_r6_notification_answer_and_reconciler(
    pay: Pay, ctx: Context, db: asyncpg.Pool, repeats: int
) -> None:
    for _ in range(repeats * rounds()):
        body = pay.body()
        await pay.fault(kind="suppressed", webhook="pay")
        await pay.fault(kind="delay", method="payments/cards/charge", seconds=random.random() / 20)
        started = asyncio.create_task(pay.start(body))
        effects: list[dict[str, Any]] = []
        while not effects:
            await asyncio.sleep(0.005)
            effects = await pay.oracle(body["user_id"])
        view = {"id": body["payment_id"], "user_id": body["user_id"]}
        values = fields(view, await attempt_of(db, view), TransactionId=str(effects[0]["transaction_id"]))
        due = "UPDATE payment_attempt SET next_query_at = first_sent_at WHERE payment_id = $1"
        await db.execute(due + " AND status = 'started'", UUID(view["id"]))
        answers = await asyncio.gather(started, tell(pay, "pay", values), reconcile(ctx), reconcile(ctx))
        assert answers[0].status_code == 201
        assert (await pay.show(view["id"]))["status"] == "succeeded"
        assert await event_types(db, view["id"]) == ["payment.created", "payment.succeeded"]
        assert await pay.effects(body["user_id"]) == [("charged", 49_900)]


async def test_naive_twin_of_r6_posts_twice(naive: asyncpg.Pool) -> None:
    attempt_id = new_id()
    await asyncio.gather(*(naive_pay(naive, "key", attempt_id) for _ in range(3)))
    assert await naive.fetchval("SELECT count(*) FROM naive_charge") > 1


async def _saved_card(pay: Pay) -> tuple[str, str]:
    body = pay.body()
    body["method"]["save_method"] = True
    view = (await pay.start(body)).json()
    return body["user_id"], view["payment_method_id"]


async def _charge_all(ctx: Context) -> None:
    while await charge_queued(ctx):
        pass


async def _detach(pay: Pay, user_id: str, method_id: str, pause: float) -> bool:
    await asyncio.sleep(pause)
    url = f"{pay.house.pay_url}/v1/customers/{user_id}/payment-methods/{method_id}"
    return (await pay.http.delete(url, headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 204


@pytest.mark.parametrize("pairs", shapes((9,), (500,)))
async def test_r9_detaching_a_card_while_it_is_charged(
    pay: Pay, ctx: Context, db: asyncpg.Pool, pairs: int
) -> None:
    """Either the charge began before, or it never begins: no call with the token after the detaching."""
    ended = set()
    for number in range(pairs * rounds()):
        user_id, method_id = await _saved_card(pay)
        saved = {"kind": "saved_method", "payment_method_id": method_id}
        renewal = pay.body(user_id=user_id, initiator="merchant", method=saved)
        await pay.start(renewal)
        await pay.fault(kind="delay", method="payments/tokens/charge", seconds=0.02)

        _, detached = await asyncio.gather(
            _charge_all(ctx), _detach(pay, user_id, method_id, number % 3 / 50)
        )
        assert detached
        view = await pay.until(renewal["payment_id"], "succeeded", "failed")
        ended.add(view["status"])
        charged = len(await pay.effects(user_id)) - 1
        assert charged == (view["status"] == "succeeded")
        row = await db.fetchrow(
            "SELECT m.updated_at, a.status FROM payment_method m LEFT JOIN payment_attempt a "
            "ON a.payment_method_id = m.id WHERE m.id = $1",
            UUID(method_id),
        )
        assert row["status"] == ("succeeded" if charged else None)
        before = await pay.effects(user_id)
        refused = await pay.start(pay.body(user_id=user_id, method=saved))
        assert refused.json()["type"] == "/problems/payment-method-unusable"
        assert await pay.effects(user_id) == before
    assert ended <= {"succeeded", "failed"}
    assert len(ended) == 2 or pairs < 100  # of so many both happen: the race is one


async def test_naive_twin_of_r9_charges_a_detached_card(naive: asyncpg.Pool) -> None:
    method_id = new_id()
    await naive.execute("INSERT INTO naive_method VALUES ($1, true)", method_id)
    order: list[str] = []
    read, detached = asyncio.Event(), asyncio.Event()

    async def charge() -> None:
        active = await naive.fetchval("SELECT active FROM naive_method WHERE id = $1", method_id)
        read.set()
        await detached.wait()
        if active:
            order.append("charged")

    async def detach() -> None:
        await read.wait()
        await naive.execute("UPDATE naive_method SET active = false WHERE id = $1", method_id)
        order.append("detached")
        detached.set()

    await asyncio.gather(charge(), detach())
    assert order == ["detached", "charged"]


async def _close(pay: Pay, invoice_id: str) -> str:
    answer = await pay.post(f"/v1/invoices/{invoice_id}/close", {}, str(new_id()))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["result"])


async def _closed_means_no_money(pay: Pay, body: dict[str, Any], results: list[str]) -> None:
    """``closed`` is a promise: no money of this invoice moved, none can."""
    effects = await pay.effects(body["user_id"])
    last = await _close(pay, body["invoice_id"])
    assert last == ("paid" if effects else "closed")
    if "closed" in results:
        assert effects == []
        again = await pay.start(pay.body(invoice_id=body["invoice_id"], user_id=body["user_id"]))
        assert again.json()["type"] == "/problems/invoice-closed"
    assert len(effects) <= 1


@pytest.mark.parametrize("pause", [0, 0.01, 0.03, 0.08])
async def test_closing_against_a_charge(pay: Pay, pause: float) -> None:
    for _ in range(2 * rounds()):
        body = pay.body()
        await pay.fault(kind="delay", method="payments/cards/charge", seconds=0.05)
        started = asyncio.create_task(pay.start(body))
        await asyncio.sleep(pause)
        results = [await _close(pay, body["invoice_id"])]
        answer = await started
        assert answer.status_code in (201, 409)
        await _closed_means_no_money(pay, body, results)


@pytest.mark.parametrize("pause", [0, 0.005, 0.02])
async def test_closing_against_a_3ds_return(pay: Pay, pause: float) -> None:
    """The payer comes back from the bank while BillingAPI closes: closed never reaches the provider."""
    ended = set()
    for number in range(3 * rounds()):
        view, page = await challenged(pay)
        term_url, form = await bank_answers(pay, page.text)
        await pay.fault(kind="delay", method="payments/cards/post3ds", seconds=0.02)
        results: list[str] = []

        async def close(invoice_id: str = view["invoice_id"], heard: list[str] = results) -> None:
            await asyncio.sleep(pause)
            heard.append(await _close(pay, invoice_id))

        async def come_back(
            url: str = term_url, data: dict[str, str] = form, late: bool = number > 1
        ) -> None:
            await asyncio.sleep(0.02 if late else 0)
            assert (await pay.http.post(local(pay, url), data=data)).status_code == 200

        await asyncio.gather(come_back(), close())
        await pay.http.delete(f"{pay.house.sandbox_url}/faults")  # it may have met no call
        shown = await pay.show(view["id"])
        effects = await pay.effects(view["user_id"])
        ended.add((results[0], shown["status"]))
        if results == ["closed"]:
            assert (shown["status"], effects) == ("cancelled", [])
        else:
            assert (shown["status"], effects) == ("succeeded", [("charged", 49_900)])
            assert shown["late"] is False
            assert await _close(pay, view["invoice_id"]) == "paid"
    assert ended <= {("closed", "cancelled"), ("in_flight", "succeeded"), ("paid", "succeeded")}


@pytest.mark.parametrize("pause", [0, 0.005, 0.02])
async def test_closing_against_a_notification(pay: Pay, ctx: Context, db: asyncpg.Pool, pause: float) -> None:
    """The bank has confirmed, the provider charged and notifies, while BillingAPI closes."""
    for _ in range(2 * rounds()):
        body = pay.body(OK_3DS)
        view = (await pay.start(body)).json()
        attempt = await attempt_of(db, view)
        values = fields(view, attempt)
        results: list[str] = []

        async def close(invoice_id: str = body["invoice_id"], heard: list[str] = results) -> None:
            await asyncio.sleep(pause)
            heard.append(await _close(pay, invoice_id))

        await asyncio.gather(tell(pay, "pay", values), close())
        shown = await pay.show(view["id"])
        # Whichever came first, the money of the notification is never lost: it settles, or it is late.
        assert shown["status"] == "succeeded"
        # "closed" makes it late. Between the two halves of a closing it is late too, though the answer is
        # "paid" then: the invoice is open still, and BillingAPI takes the money for it.
        assert shown["late"] or results != ["closed"]
        assert not shown["late"] or results in (["closed"], ["paid"])


async def test_closing_against_a_payment_of_unknown_outcome(pay: Pay, ctx: Context) -> None:
    await pay.fault(kind="suppressed", webhook="pay")
    await pay.fault(kind="timeout_after", method="payments/cards/charge", manner="close")
    view = await pay.pay(expect="unknown")
    assert await _close(pay, view["invoice_id"]) == "in_flight"
    pay.clock.advance(timedelta(minutes=1))
    results = await asyncio.gather(reconcile(ctx), *(_close(pay, view["invoice_id"]) for _ in range(5)))
    assert set(results[1:]) <= {"in_flight", "paid"}
    assert await _close(pay, view["invoice_id"]) == "paid"


async def test_a_locked_invoice_is_waited_for(pay: Pay, ctx: Context) -> None:
    """A payment that comes while the invoice is being closed is refused, not slipped in."""
    body = pay.body()
    async with ctx.sessions.begin() as session:
        invoice = await repository.lock_invoice(session, UUID(body["invoice_id"]), pay.clock.now())
        started = asyncio.create_task(pay.start(body))
        await asyncio.sleep(0.1)
        assert not started.done()
        invoice.closed_at = pay.clock.now()
    assert (await started).json()["type"] == "/problems/invoice-closed"
    assert await pay.effects(body["user_id"]) == []
