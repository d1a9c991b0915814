"""Payments PayAPI never answered for: tried again in the first words, given up in the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from pay_api.api.schemas import StartPaymentBody
from shared.clock import ManualClock
from tests.user_api.accounts.conftest import problem_code
from tests.user_api.commerce.conftest import CONSENT, Catalogue, Person, card
from tests.user_api.commerce.fakes import FakeBillingApi, FakePayApi
from tests.user_api.commerce.test_collect import (  # noqa: F401 - fixtures
    Collector,
    collector,
    consent_of,
    renewal,
    subscribed,
)
from tests.user_api.commerce.test_erasure import erase
from user_api.resources import Resources
from user_api.user_service.finish_endings import finish_endings
from user_api.user_service.intents import list_given_up, settle_given_up

AGREED: dict[str, Any] = {"payment": card(save=True), "consent": CONSENT}
AGE = "UPDATE payments SET updated_at = updated_at - $1::interval"
STATES = "SELECT status, known_at IS NULL AS unanswered, payer FROM payments"


@pytest.fixture
async def broken(anna: Person, catalogue: Catalogue, pay: FakePayApi) -> UUID:
    """The product whose purchase, under the key ``key``, met a PayAPI that was away."""
    product = await catalogue.product("feature:uhd")
    pay.crash("start", "before")
    assert (await anna.buy(product, "key", **AGREED)).status_code == 503
    return product


async def test_a_retry_from_elsewhere_tells_pay_api_what_the_first_run_told(
    anna: Person, broken: UUID, pay: FakePayApi, rows: Callable[..., Any]
) -> None:
    """Another network, language and e-mail: the key is the same, so PayAPI must see the same request."""
    await rows("UPDATE users SET email = 'anna.new@example.com'")
    anna.headers["Accept-Language"] = "en"
    anna._client._transport.client = ("203.0.113.7", 1)  # type: ignore[attr-defined]
    again = await anna.buy(broken, "key", **AGREED)
    assert again.status_code == 201, again.text
    first, second = (json.loads(body) for body in pay.bodies)
    assert first == second
    assert first["payer"]["email"] == "anna@example.com"
    assert (await consent_of(anna))["status"] == "active"
    (row,) = await rows(STATES)
    assert tuple(row) == ("succeeded", False, None), "of the payer nothing is kept once it is answered"


async def test_a_key_pay_api_knows_by_other_words_is_never_taken_for_a_refusal(
    anna: Person, broken: UUID, pay: FakePayApi, rows: Callable[..., Any], clock: ManualClock
) -> None:
    """The first request may still be charging; only after its time the key makes a payment of a new id."""
    (kept,) = await rows("SELECT id, payer::text FROM payments")
    await rows("""UPDATE payments SET payer = '{"locale": "en"}'""")
    early = await anna.buy(broken, "key", **AGREED)
    assert (early.status_code, problem_code(early)) == (503, "payment-being-started")
    assert int(early.headers["Retry-After"]) == 60
    assert [row["id"] for row in await rows("SELECT id FROM payments")] == [kept["id"]]
    assert (await consent_of(anna))["status"] == "pending"
    clock.advance(timedelta(seconds=60))
    assert (await anna.buy(broken, "key", **AGREED)).status_code == 503
    done = await anna.buy(broken, "key", **AGREED)
    assert done.status_code == 201, done.text
    assert UUID(done.json()["payment"]["id"]) != kept["id"]
    assert len(pay.charges) == 1
    assert (await consent_of(anna))["status"] == "active"


async def test_an_intent_pay_api_knows_nothing_of_is_given_up_and_lets_its_person_go(
    anna: Person, broken: UUID, rows: Callable[..., Any], resources: Resources
) -> None:
    await rows(AGE, timedelta(minutes=59))
    await finish_endings(resources.commerce)
    assert problem_code(await erase(anna)) == "payment-in-progress"
    await rows(AGE, timedelta(minutes=2))
    await finish_endings(resources.commerce)
    assert await rows(STATES) == []
    assert await rows("SELECT 1 FROM recurring_payments") == []


async def test_an_erasure_gives_up_its_persons_own_intents_itself(
    anna: Person, broken: UUID, rows: Callable[..., Any]
) -> None:
    await rows(AGE, timedelta(days=400))
    assert (await erase(anna)).status_code == 202
    assert await rows(STATES) == []


async def test_an_intent_pay_api_has_carried_out_is_learned_of_without_an_event(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, rows: Callable[..., Any], resources: Resources
) -> None:
    pay.crash("start", "after")
    assert (await anna.buy(await catalogue.product("feature:uhd"), **AGREED)).status_code == 503
    await rows(AGE, timedelta(hours=2))
    await finish_endings(resources.commerce)
    assert (await consent_of(anna))["status"] == "active"
    asked = pay.count("get")
    await finish_endings(resources.commerce)
    assert pay.count("get") == asked, "answered once and for all"


async def test_an_intent_being_tried_again_is_not_given_up_under_its_run(
    anna: Person, broken: UUID, pay: FakePayApi, rows: Callable[..., Any], resources: Resources
) -> None:
    """The late run has asked PayAPI and is calling it; the worker asks at that very moment."""
    await rows(AGE, timedelta(hours=2))
    pay.hold["start"] = asyncio.Event()
    pay.reached.clear()
    running = asyncio.create_task(anna.buy(broken, "key", **AGREED))
    await pay.reached.wait()
    await finish_endings(resources.commerce)
    pay.hold.pop("start").set()
    assert (await running).status_code == 201
    (row,) = await rows("SELECT request_id, subscription_id FROM payments")
    assert None not in tuple(row)
    assert (await consent_of(anna))["status"] == "active"


async def test_an_intent_taken_up_while_the_worker_asks_about_it_is_kept(
    anna: Person, broken: UUID, pay: FakePayApi, rows: Callable[..., Any], resources: Resources
) -> None:
    """Listed by the worker as given up; before it withdraws it, a late run of the key is calling PayAPI."""
    await rows(AGE, timedelta(hours=2))
    ((border, payment_id),) = await list_given_up(resources.commerce, 100)
    pay.hold["start"] = asyncio.Event()
    pay.reached.clear()
    running = asyncio.create_task(anna.buy(broken, "key", **AGREED))
    await pay.reached.wait()
    await settle_given_up(resources.commerce, border, payment_id)
    assert [row["id"] for row in await rows("SELECT id FROM payments")] == [payment_id]
    pay.hold.pop("start").set()
    assert (await running).status_code == 201
    assert (await consent_of(anna))["status"] == "active"


async def test_a_run_that_comes_after_the_giving_up_is_a_payment_of_its_own(
    anna: Person, broken: UUID, pay: FakePayApi, rows: Callable[..., Any], resources: Resources
) -> None:
    await rows(AGE, timedelta(hours=2))
    await finish_endings(resources.commerce)
    assert (await anna.buy(broken, "key", **AGREED)).status_code == 201
    assert len(pay.charges) == 1
    assert (await consent_of(anna))["status"] == "active"


async def test_a_worker_that_cannot_ask_gives_nothing_up_and_does_not_ask_for_ever(
    anna: Person, broken: UUID, pay: FakePayApi, rows: Callable[..., Any], resources: Resources
) -> None:
    await rows(AGE, timedelta(hours=2))
    copy = "INSERT INTO payments SELECT gen_random_uuid(), NULL, user_id, invoice_id, subscription_id, "
    await rows(
        copy + "initiator, method_id, status, currency, amount_minor, 0, 0, NULL, NULL, NULL, NULL, NULL, "
        "created_at, updated_at, NULL, NULL FROM payments, generate_series(1, 9)"
    )
    asked: list[UUID] = []

    def away(payment_id: UUID) -> Any:
        asked.append(payment_id)
        raise RuntimeError("away")

    pay.view = away  # type: ignore[method-assign]
    await finish_endings(resources.commerce)
    assert len(asked) == 3
    assert len(await rows(STATES)) == 10


async def test_a_collection_in_other_words_ends_its_attempt_without_a_charge(
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
    rows: Callable[..., Any],
    clock: ManualClock,
) -> None:
    """BillingAPI gives the id: when PayAPI knows it by another body, BillingAPI has to take another."""
    attempt = uuid4()
    pay.crash("start", "before")
    assert (await collector.collect(subscribed, renewal, attempt)).status_code == 503
    await rows("UPDATE users SET email = 'anna.new@example.com'")
    await rows("""UPDATE payments SET payer = '{"locale": "en"}' WHERE known_at IS NULL""")
    assert (await collector.collect(subscribed, renewal, attempt)).status_code == 503
    clock.advance(timedelta(seconds=60))
    over = await collector.collect(subscribed, renewal, attempt)
    assert (over.status_code, problem_code(over)) == (422, "idempotency-key-reused")
    assert await rows("SELECT 1 FROM payments WHERE known_at IS NULL") == []
    assert (await collector.collect(subscribed, renewal, uuid4())).status_code == 202


async def test_a_collection_resumed_after_a_change_of_address_is_the_same_request(
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
    rows: Callable[..., Any],
) -> None:
    attempt = uuid4()
    pay.crash("start", "before")
    assert (await collector.collect(subscribed, renewal, attempt)).status_code == 503
    await rows("UPDATE users SET email = 'anna.new@example.com'")
    assert (await collector.collect(subscribed, renewal, attempt)).status_code == 202


async def test_a_card_pay_api_cannot_use_any_more_is_no_method(
    anna: Person,
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
    rows: Callable[..., Any],
) -> None:
    pay.methods[UUID((await consent_of(anna))["payment_method_id"])]["status"] = "detached"
    answer = await collector.collect(subscribed, renewal, uuid4())
    assert (answer.status_code, problem_code(answer)) == (409, "no-method")
    assert await rows("SELECT 1 FROM payments WHERE known_at IS NULL") == []


async def test_a_queued_charge_that_is_over_is_asked_for_once(
    anna: Person,
    collector: Collector,  # noqa: F811
    subscribed: Any,  # noqa: F811
    renewal: Any,  # noqa: F811
    pay: FakePayApi,
    resources: Resources,
    deliver: Any,
) -> None:
    """Its event is still on its way; the worker turns every five seconds."""
    queued = uuid4()
    await collector.collect(subscribed, renewal, queued)
    pay.succeed(queued)
    consent = await consent_of(anna)
    assert (await anna.delete(f"/v1/me/recurring-payments/{consent['id']}")).status_code == 204
    await finish_endings(resources.commerce)
    asked = pay.count("get")
    await finish_endings(resources.commerce)
    assert pay.count("get") == asked
    assert pay.payments[queued]["status"] == "succeeded"


@pytest.mark.parametrize("locale", ["ru", "en"])
async def test_a_correction_with_a_reason_of_two_long_lines_can_be_paid(
    anna: Person, catalogue: Catalogue, billing: FakeBillingApi, pay: FakePayApi, locale: str
) -> None:
    """500 characters typed by staff are the line's description; PayAPI's own body takes what is sent."""
    bought = (await anna.buy(await catalogue.product("feature:uhd"))).json()
    reason = "a" * 48 + "\r\n" + "цена " * 90
    charge = billing.open_invoice(UUID(bought["subscription"]["id"]), 5000, "charge")
    charge["lines"][0]["description"] = {"ru": f"Корректировка: {reason}", "en": f"Correction: {reason}"}
    anna.headers["Accept-Language"] = locale
    paid: httpx.Response = await anna.post(f"/v1/me/invoices/{charge['id']}/pay", {"payment": card()})
    assert paid.status_code == 201, paid.text
    sent = StartPaymentBody.model_validate_json(pay.bodies[-1])
    assert sent.receipt.lines[0].label.startswith("Кор" if locale == "ru" else "Cor")
    assert charge["number"] in sent.description
