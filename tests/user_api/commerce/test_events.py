"""Events of payments: newer word wins, whichever way it comes; consents are settled by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.clock import ManualClock
from tests.user_api.commerce.conftest import CONSENT, Catalogue, Person, card
from tests.user_api.commerce.fakes import FakePayApi
from user_api.consumers import EventHandlers
from user_api.resources import Resources
from user_api.user_service import consents


async def test_old_payment_events_are_ignored_and_gaps_do_not_matter(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, handlers: EventHandlers
) -> None:
    bought = (await anna.buy(await catalogue.product("feature:uhd"), payment=card("challenge"))).json()
    payment_id = bought["payment"]["id"]
    pay.succeed(UUID(payment_id))
    created, required, succeeded = (e for e in pay.events if e.type.startswith("payment."))
    await handlers.handle_payment_event(succeeded)
    await handlers.handle_payment_event(required)
    await handlers.handle_payment_event(created)
    assert (await anna.get(f"/v1/me/payments/{payment_id}")).json()["status"] == "succeeded"


async def test_events_are_ordered_by_their_sequence_not_by_their_moments(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, handlers: EventHandlers, deliver: Any
) -> None:
    """The moment comes from whichever process wrote the state: the clock of one may be behind."""
    bought = (await anna.buy(await catalogue.product("feature:uhd"), payment=card("challenge"))).json()
    payment_id = bought["payment"]["id"]
    await deliver()
    pay.succeed(UUID(payment_id))
    (late,) = (event for event in pay.events if event.type == "payment.succeeded")
    earlier = (late.time - timedelta(seconds=2)).isoformat()
    behind = late.model_copy(update={"data": late.data | {"updated_at": earlier}})
    await handlers.handle_payment_event(behind)
    assert (await anna.get(f"/v1/me/payments/{payment_id}")).json()["status"] == "succeeded"


async def test_an_answer_older_than_the_event_does_not_set_the_payment_back(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, deliver: Any, clock: ManualClock
) -> None:
    product = await catalogue.product("feature:uhd")
    pay.crash("start", "after")
    assert (await anna.buy(product, "key", payment=card("challenge"))).status_code == 503
    (payment_id,) = pay.payments
    stale = pay.view(payment_id)
    clock.advance(timedelta(seconds=5))
    pay.succeed(payment_id)
    await deliver()
    pay.view = lambda _: stale  # type: ignore[method-assign]
    answer = await anna.buy(product, "key", payment=card("challenge"))
    assert answer.json()["payment"]["status"] == "succeeded"


async def test_a_payment_nobody_here_began_is_kept_too(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, deliver: Any, rows: Callable[..., Any]
) -> None:
    bought = (await anna.buy(await catalogue.product("feature:uhd"), payment=card(save=True))).json()
    await rows("DELETE FROM payments")
    await deliver()
    (shown,) = (await anna.get("/v1/me/payments")).json()["items"]
    assert (shown["id"], shown["status"]) == (bought["payment"]["id"], "succeeded")


async def test_a_consent_waits_for_its_payment(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, deliver: Any
) -> None:
    product = await catalogue.product("feature:uhd")
    bought = (await anna.buy(product, payment=card("challenge", save=True), consent=CONSENT)).json()
    await deliver()

    async def consent() -> dict[str, Any]:
        (found,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
        return dict(found)

    assert (await consent())["status"] == "pending"
    pay.succeed(UUID(bought["payment"]["id"]))
    await deliver()
    settled = await consent()
    assert (settled["status"], settled["accepted_at"]) == ("active", "2026-03-01T12:00:00Z")
    assert settled["payment_method_id"] is not None


async def test_a_consent_revoked_while_its_payment_is_being_applied_stays_revoked(
    anna: Person,
    catalogue: Catalogue,
    pay: FakePayApi,
    handlers: EventHandlers,
    resources: Resources,
    rows: Callable[..., Any],
) -> None:
    product = await catalogue.product("feature:uhd")
    bought = (await anna.buy(product, payment=card("challenge", save=True), consent=CONSENT)).json()
    pay.succeed(UUID(bought["payment"]["id"]))
    async with resources.sessions.begin() as session:
        (row,) = await consents.lock_of_subscription(session, UUID(bought["subscription"]["id"]))
        delivery = asyncio.create_task(handlers.handle_payment_event(pay.events[-1]))
        # Until it has read "pending" and waits for the lock; Postgres has no event for that.
        while not await rows("SELECT 1 FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        consents.revoke(row, "revoked-by-customer", resources.clock.now())
    await delivery
    (after,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    assert after["status"] == "revoked"


async def test_a_detached_card_ends_its_consents(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, deliver: Any
) -> None:
    product = await catalogue.product("feature:uhd")
    await anna.buy(product, payment=card(save=True), consent=CONSENT)
    await deliver()
    (method_id,) = pay.methods
    pay.methods[method_id]["status"] = "detached"
    pay._tell_method(method_id, "payment_method.detached")
    await deliver()
    (consent,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    assert consent["status"] == "revoked"
    assert (await anna.get("/v1/me/payment-methods")).json()["items"] == []


@pytest.mark.parametrize("first", ["success", "card"])
async def test_a_card_told_of_beside_its_payment_makes_the_consent_hold(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, handlers: EventHandlers, first: str
) -> None:
    """A token named late: no word of the payment has the card, but the card's word has the payment."""
    product = await catalogue.product("feature:uhd")
    bought = await anna.buy(product, payment=card("challenge", save=True), consent=CONSENT)
    payment_id = UUID(bought.json()["payment"]["id"])
    pay.succeed(payment_id)
    (saved,) = (event for event in pay.events if event.type == "payment_method.saved")
    (succeeded,) = (event for event in pay.events if event.type == "payment.succeeded")
    succeeded = succeeded.model_copy(update={"data": succeeded.data | {"payment_method_id": None}})
    order = [succeeded, saved] if first == "success" else [saved, succeeded]
    await handlers.handle_payment_event(order[0])
    (consent,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    assert consent["status"] == "pending"
    await handlers.handle_payment_event(order[1])
    (consent,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    (method,) = (await anna.get("/v1/me/payment-methods")).json()["items"]
    assert (consent["status"], consent["payment_method_id"]) == ("active", method["id"])
