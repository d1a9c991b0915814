"""No card number anywhere: none is taken in, no column is for one, nothing stored looks like one."""

from __future__ import annotations

import re
from typing import Any

import asyncpg
import pytest

from shared.card_numbers import holds_card_number
from shared.ids import new_id
from tests.pay_api.conftest import OK, OK_3DS, POOR, Pay
from tests.pay_api.test_webhooks import attempt_of, fields, tell

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
COLUMNS = (
    "SELECT table_name || '.' || column_name AS name FROM information_schema.columns "
    "WHERE table_schema = 'public'"
)


@pytest.mark.parametrize("number", [OK, "4000 0000 0000 3055", "4000-0000-0000-3055"])
@pytest.mark.parametrize(
    "place",
    [
        {"description": "карта {0}"},
        {"method": {"kind": "card_cryptogram", "card_cryptogram": "{0}", "save_method": False}},
        {"method": {"kind": "card_cryptogram", "card_cryptogram": "x", "cardholder_name": "{0}"}},
        {"payer": {"locale": "ru", "email": "{0}@example.com"}},
        {"return_url": "https://cinema.example/?card={0}"},
        {"card_number": "{0}"},
    ],
)
async def test_a_request_with_a_card_number_is_turned_away(
    pay: Pay, db: asyncpg.Pool, place: dict[str, Any], number: str
) -> None:
    body = pay.body(**_with(place, number))
    answer = await pay.start(body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/card-number-refused")
    assert not holds_card_number(answer.content)
    assert await db.fetchval("SELECT count(*) FROM payment WHERE id = $1", body["payment_id"]) == 0
    assert await db.fetchval("SELECT count(*) FROM idempotency_key WHERE key = $1", body["payment_id"]) == 0


def _with(value: Any, number: str) -> Any:
    if isinstance(value, dict):
        return {name: _with(item, number) for name, item in value.items()}
    return value.replace("{0}", number) if isinstance(value, str) else value


async def test_nor_in_an_address_or_a_form(pay: Pay) -> None:
    asked = await pay.get("/v1/payments", user_id=str(new_id()), cursor=OK)
    assert asked.json()["type"] == "/problems/card-number-refused"
    view = await pay.pay(OK_3DS, "action_required")
    url = f"{pay.house.pay_url}/v1/payments/{view['id']}/3ds-return"
    sent = await pay.http.post(url, data={"MD": OK, "PaRes": "x"})
    assert sent.json()["type"] == "/problems/card-number-refused"


async def test_a_notification_is_heard_whatever_it_says(pay: Pay, db: asyncpg.Pool) -> None:
    """It is signed and about money; what looks like a card number in it is not stored."""
    view = await pay.pay(OK_3DS, "action_required")
    values = fields(view, await attempt_of(db, view), Description=f"card {OK}", Name=OK)
    assert (await tell(pay, "pay", values)).json() == {"code": 0}
    assert (await pay.show(view["id"]))["status"] == "succeeded"


async def test_no_column_is_named_for_card_data(db: asyncpg.Pool) -> None:
    names = [row["name"] for row in await db.fetch(COLUMNS)]
    assert len(names) > 100
    forbidden = re.compile(r"\.(pan|cvv|cvc|card_number|number|cryptogram|track|pin)$|cryptogram|cvv|cvc")
    assert [name for name in names if forbidden.search(name)] == []


async def test_nothing_stored_looks_like_a_card(pay: Pay, db: asyncpg.Pool) -> None:
    """After payments of every kind the whole database is read: the canaries of the test cards are nowhere."""
    for pan, expected in ((OK, "succeeded"), (POOR, "failed"), (OK_3DS, "action_required")):
        body = pay.body(pan)
        body["method"]["save_method"] = True
        assert (await pay.start(body)).json()["status"] == expected
    for row in await db.fetch(TABLES):
        for stored in await db.fetch(f'SELECT t::text AS line FROM "{row["tablename"]}" AS t'):
            line = stored["line"].encode()
            assert not any(pan.encode() in line for pan in (OK, POOR, OK_3DS)), row["tablename"]
            assert not holds_card_number(line), (row["tablename"], stored["line"][:300])
