"""A terminal that asks Check before every authorisation: our answers while our own call is under way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from shared.ids import new_id
from tests.pay_api.conftest import House, Pay, at_home, open_house
from tests.pay_api.test_threeds import bank_answers, challenged, local

CARD_PAYMENT = "payments/cards/charge"


@pytest.fixture(scope="module")
def checking_house() -> Iterator[House]:
    with open_house(sandbox_check_enabled=True) as opened:
        yield opened


@pytest.fixture
async def checked(checking_house: House) -> AsyncIterator[Pay]:
    async with at_home(checking_house) as client:
        yield client


async def at_the_provider(pay: Pay, **fields: Any) -> dict[str, Any]:
    """The transaction of a charge that did not come from PayAPI, as its answer shows it."""
    settings = pay.house.settings
    auth = (settings.cloudpayments_public_id, "cinema-sandbox-secret")
    body = {"Amount": 499, "Currency": "RUB", "IpAddress": "203.0.113.7", "Name": "A B"} | fields
    body["CardCryptogramPacket"] = pay.cryptogram()
    answer = await pay.http.post(f"{pay.house.sandbox_url}/{CARD_PAYMENT}", auth=auth, json=body)
    model: dict[str, Any] = answer.json()["Model"]
    return model


async def test_our_own_charges_are_let_through(checked: Pay) -> None:
    paid = await checked.pay()
    assert await checked.effects(paid["user_id"]) == [("charged", 49_900)]
    view, page = await challenged(checked)
    action, fields = await bank_answers(checked, page.text)
    assert (await checked.http.post(local(checked, action), data=fields)).status_code == 200
    assert (await checked.show(view["id"]))["status"] == "succeeded"
    assert await checked.effects(view["user_id"]) == [("charged", 49_900)]


async def test_what_we_did_not_ask_for_is_refused_before_money_moves(
    checked: Pay, checking_house: House
) -> None:
    paid = await checked.pay()
    database = await asyncpg.connect(checking_house.owner_dsn)
    attempt = await database.fetchval("SELECT id FROM payment_attempt WHERE payment_id = $1", paid["id"])
    await database.close()
    stranger = str(new_id())
    for fields, reason_code in (
        ({"InvoiceId": str(new_id()), "AccountId": stranger}, 3001),  # no such attempt
        ({"InvoiceId": str(attempt), "AccountId": stranger}, 3002),  # somebody else's
        ({"InvoiceId": str(attempt), "AccountId": paid["user_id"], "Amount": 498}, 3003),
        ({"InvoiceId": str(attempt), "AccountId": paid["user_id"]}, 3008),  # it is paid
    ):
        model = await at_the_provider(checked, **fields)
        assert model["ReasonCode"] == reason_code
    assert await checked.effects(stranger) == []
    assert await checked.effects(paid["user_id"]) == [("charged", 49_900)]
