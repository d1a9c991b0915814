"""Change of product, pause and resume: previewed, paid once, closed before another, and one's own only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.user_api.commerce.conftest import CONSENT, Catalogue, Person, SignUp, card
from tests.user_api.commerce.fakes import FakeBillingApi, FakePayApi


@pytest.fixture
async def held(anna: Person, catalogue: Catalogue, billing: FakeBillingApi, deliver: Any) -> dict[str, Any]:
    """Basic for 499.00, and the products of its group."""
    bought = (await anna.buy(await catalogue.product("collection:basic"))).json()
    billing.settle(UUID(bought["subscription"]["id"]))
    await deliver()
    return {
        "id": UUID(bought["subscription"]["id"]),
        "path": f"/v1/me/subscriptions/{bought['subscription']['id']}",
        "premium": str(await catalogue.product("collection:premium", price=79900)),
        "family": str(await catalogue.product("collection:family", price=99900)),
        "lite": str(await catalogue.product("collection:lite", price=29900)),
    }


async def test_a_preview_is_what_is_charged_and_rights_move_with_the_event(
    anna: Person, held: Any, pay: FakePayApi, billing: FakeBillingApi, deliver: Any
) -> None:
    path = f"{held['path']}/change-product"
    seen = await anna.post(path, {"product_id": held["premium"], "preview": True})
    assert seen.status_code == 200, seen.text
    assert (seen.json()["invoice"], seen.json()["payment"]) == (None, None)
    due = seen.json()["quote"]["amount_due"]
    assert due == {"amount": 30000, "currency": "RUB"}
    assert len(pay.charges) == 1
    body = {"product_id": held["premium"], "expected_amount": due, "payment": card()}
    key = str(uuid4())
    answer = await anna.post(path, body, key)
    assert answer.status_code == 200, answer.text
    assert answer.json()["payment"]["status"] == "succeeded"
    assert answer.json()["payment"]["amount"] == answer.json()["invoice"]["amount_due"] == due
    assert (await anna.post(path, body, key)).json() == answer.json()
    assert len(pay.charges) == 2
    assert not await anna.may("collection:premium")
    billing.tell(held["id"], "subscription.changed", timedelta(days=9), product_id=held["premium"])
    await deliver()
    assert await anna.may("collection:premium")
    assert not await anna.may("collection:basic")


async def test_another_amount_than_seen_is_not_charged(anna: Person, held: Any, pay: FakePayApi) -> None:
    wrong = {"amount": 1, "currency": "RUB"}
    body = {"product_id": held["premium"], "expected_amount": wrong, "payment": card()}
    refused = await anna.post(f"{held['path']}/change-product", body)
    assert refused.json()["type"] == "/problems/price-changed"
    assert refused.json()["quote"]["amount_due"]["amount"] == 30000
    assert len(pay.charges) == 1


async def test_what_is_due_needs_a_method_and_nothing_is_opened_without(
    anna: Person, held: Any, billing: FakeBillingApi
) -> None:
    refused = await anna.post(f"{held['path']}/change-product", {"product_id": held["premium"]})
    assert refused.json()["type"] == "/problems/payment-required"
    assert billing.count("change") == 0
    later = await anna.post(f"{held['path']}/change-product", {"product_id": held["lite"]})
    assert later.status_code == 200, later.text
    assert (later.json()["payment"], later.json()["quote"]["timing"]) == (None, "at_period_end")
    useless = {"product_id": held["premium"], "payment": card(), "consent": CONSENT}
    assert (await anna.post(f"{held['path']}/change-product", useless)).json()[
        "type"
    ] == "/problems/consent-needs-saved-method"


async def test_a_declined_change_is_paid_with_another_card(
    anna: Person, held: Any, pay: FakePayApi, billing: FakeBillingApi
) -> None:
    path = f"{held['path']}/change-product"
    declined = await anna.post(path, {"product_id": held["premium"], "payment": card("declined")})
    assert declined.json()["payment"]["status"] == "failed"
    again = await anna.post(path, {"product_id": held["premium"], "payment": card()})
    assert again.json()["invoice"]["id"] == declined.json()["invoice"]["id"]
    assert again.json()["payment"]["status"] == "succeeded"
    assert len(pay.charges) == 2


async def test_another_change_closes_the_one_that_waits(
    anna: Person, held: Any, pay: FakePayApi, billing: FakeBillingApi
) -> None:
    path = f"{held['path']}/change-product"
    waiting = await anna.post(path, {"product_id": held["premium"], "payment": card("challenge")})
    assert waiting.json()["payment"]["next_action"]["kind"] == "redirect"
    other = await anna.post(path, {"product_id": held["family"], "payment": card()})
    assert other.status_code == 200, other.text
    assert other.json()["payment"]["amount"]["amount"] == 50000
    first = UUID(waiting.json()["invoice"]["id"])
    assert (billing.invoices[first]["status"], first in pay.closed) == ("void", True)
    assert pay.payments[UUID(waiting.json()["payment"]["id"])]["status"] == "cancelled"


async def test_a_change_in_flight_is_not_replaced(anna: Person, held: Any, pay: FakePayApi) -> None:
    path = f"{held['path']}/change-product"
    waiting = await anna.post(path, {"product_id": held["premium"], "payment": card("challenge")})
    pay.payments[UUID(waiting.json()["payment"]["id"])]["status"] = "processing"
    other = await anna.post(path, {"product_id": held["family"], "payment": card()})
    assert (other.status_code, other.json()["type"]) == (409, "/problems/payment-in-progress")


@pytest.mark.parametrize(
    ("service", "operation", "when"),
    [("billing", "change", "before"), ("billing", "change", "after"), ("pay", "start", "after")],
)
async def test_a_broken_change_resumes_without_a_second_charge(
    anna: Person, held: Any, pay: FakePayApi, billing: FakeBillingApi, service: str, operation: str, when: Any
) -> None:
    (pay if service == "pay" else billing).crash(operation, when)
    path, key = f"{held['path']}/change-product", str(uuid4())
    body = {"product_id": held["premium"], "payment": card()}
    assert (await anna.post(path, body, key)).status_code == 503
    answer = await anna.post(path, body, key)
    assert answer.status_code == 200, answer.text
    assert answer.json()["payment"]["status"] == "succeeded"
    assert len(pay.charges) == 2


async def test_pause_and_resume(anna: Person, held: Any, billing: FakeBillingApi, deliver: Any) -> None:
    assert await anna.may("collection:basic")
    paused = await anna.post(f"{held['path']}/pause", {})
    assert paused.json()["subscription"]["status"] == "paused"
    billing.tell(held["id"], "subscription.paused", None, grants_access=False)
    await deliver()
    assert not await anna.may("collection:basic")
    resumed = await anna.post(f"{held['path']}/resume", {})
    assert resumed.json()["subscription"]["status"] == "active"


async def test_somebody_elses_subscription_does_not_exist(
    held: Any, sign_up: SignUp, billing: FakeBillingApi
) -> None:
    boris = await sign_up("boris@example.com")
    billing.calls.clear()
    body = {"product_id": held["premium"], "payment": card()}
    for command, given in (("change-product", body), ("pause", {}), ("resume", {})):
        answer = await boris.post(f"{held['path']}/{command}", given)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/subscription-not-found")
    assert [name for name, _ in billing.calls if name != "get"] == []
