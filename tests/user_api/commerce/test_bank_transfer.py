"""Paying by bank transfer: details for the user, staff's confirmation through UserAPI, parts, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.ids import new_id
from tests.user_api.commerce.conftest import CONSENT, Catalogue, Person
from tests.user_api.commerce.fakes import FakePayApi

AsService = Callable[[str], dict[str, str]]
TRANSFER = {"kind": "bank_transfer"}


async def ordered(anna: Person, catalogue: Catalogue) -> dict[str, Any]:
    answer = await anna.buy(await catalogue.product("collection:base"), payment=TRANSFER)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def confirm(
    client: httpx.AsyncClient, payment_id: str, headers: dict[str, str], **changes: Any
) -> httpx.Response:
    body = {
        "confirmation_id": str(new_id()),
        "amount": {"amount": 49_900, "currency": "RUB"},
        "reason": "statement of 12 May,\n line 4",
        "actor": "accountant",
        **changes,
    }
    path = f"/internal/v1/payments/{payment_id}/transfer-confirmations"
    return await client.post(path, json=body, headers=headers | {"Idempotency-Key": body["confirmation_id"]})


async def test_the_user_is_told_where_to_send_the_money(
    anna: Person, catalogue: Catalogue, deliver: Any
) -> None:
    bought = await ordered(anna, catalogue)
    assert bought["subscription"]["status"] == "incomplete"
    payment = bought["payment"]
    assert payment["status"] == "action_required"
    action = payment["next_action"]
    assert (action["kind"], action["instructions"]["code"]) == ("instructions", payment["id"][-8:].upper())
    await deliver()  # the event says nothing of the details: they stay
    shown = (await anna.get(f"/v1/me/payments/{payment['id']}")).json()
    assert shown["next_action"] == action


async def test_staff_confirm_through_user_api(
    anna: Person, catalogue: Catalogue, client: httpx.AsyncClient, as_service: AsService, pay: FakePayApi
) -> None:
    payment_id = (await ordered(anna, catalogue))["payment"]["id"]
    confirmation_id = str(new_id())
    staff = as_service("admin-panel")
    answer = await confirm(client, payment_id, staff, confirmation_id=confirmation_id)
    assert answer.status_code == 201, answer.text
    assert answer.json()["payment"]["status"] == "succeeded"
    again = await confirm(client, payment_id, staff, confirmation_id=confirmation_id)
    assert again.json() == answer.json()
    assert pay.count("confirm_transfer") == 1
    (sent,) = [body for name, body in pay.calls if name == "confirm_transfer"]
    assert (sent["actor"], sent["reason"]) == ("accountant", "statement of 12 May, line 4")
    shown = (await anna.get(f"/v1/me/payments/{payment_id}")).json()
    assert (shown["status"], shown["next_action"]) == ("succeeded", None)


async def test_a_part_is_taken_down_as_a_part(
    anna: Person, catalogue: Catalogue, client: httpx.AsyncClient, as_service: AsService
) -> None:
    bought = await ordered(anna, catalogue)
    part = {"amount": 20_000, "currency": "RUB"}
    answer = await confirm(client, bought["payment"]["id"], as_service("admin-panel"), amount=part)
    view = answer.json()["payment"]
    assert (view["captured"], view["settles_invoice"]) == (part, False)


async def test_who_may_confirm_and_what_is_refused(
    anna: Person, catalogue: Catalogue, client: httpx.AsyncClient, as_service: AsService, pay: FakePayApi
) -> None:
    payment_id = (await ordered(anna, catalogue))["payment"]["id"]
    staff = as_service("admin-panel")
    assert (await confirm(client, payment_id, as_service("billing-api"))).status_code == 403
    assert (await confirm(client, payment_id, {})).status_code == 401
    for changes in (
        {"amount": {"amount": 0, "currency": "RUB"}},
        {"amount": {"amount": -5, "currency": "RUB"}},
        {"reason": "  "},
        {"actor": ""},
        {"invented": 1},
    ):
        assert (await confirm(client, payment_id, staff, **changes)).status_code == 422
    body = {"refund_id": str(new_id()), "reason": "sent", "actor": "accountant"}
    path = f"/internal/v1/payments/{payment_id}/refund-confirmations"
    refused = await client.post(path, json=body, headers=staff | {"Idempotency-Key": "k"})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/refund-not-awaited")
    assert pay.payments[UUID(payment_id)]["status"] == "action_required"


@pytest.mark.parametrize("extra", [{"save_method": True}, {"payment_method_id": str(new_id())}])
async def test_a_bank_transfer_has_nothing_else(
    anna: Person, catalogue: Catalogue, pay: FakePayApi, extra: dict[str, Any]
) -> None:
    product = await catalogue.product("collection:base")
    assert (await anna.buy(product, payment=TRANSFER | extra)).status_code == 422
    consented = await anna.buy(product, payment=TRANSFER, consent=CONSENT)
    assert consented.json()["type"] == "/problems/consent-needs-saved-method"
    assert pay.payments == {}


async def test_a_change_of_product_is_not_paid_by_transfer(anna: Person, pay: FakePayApi) -> None:
    """It lapses with its day: no transfer comes in time."""
    body = {"product_id": str(new_id()), "payment": TRANSFER}
    answer = await anna.post(f"/v1/me/subscriptions/{new_id()}/change-product", body)
    assert answer.status_code == 422
    assert pay.payments == {}
