"""The catalogue as the public sees it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from shared.clock import ManualClock
from shared.money import Money
from tests.user_api.commerce.conftest import Catalogue


async def test_products_are_listed_in_order_page_by_page(
    client: httpx.AsyncClient, catalogue: Catalogue
) -> None:
    made = [await catalogue.product("feature:hd", rank=rank, price=100 * rank + 1) for rank in (3, 1, 2, 2)]
    await catalogue.product("feature:hd", rank=0, status="retired")
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        body = (await client.get("/v1/products", params=params)).json()
        seen += [item["id"] for item in body["items"]]
        cursor = body["next_cursor"]
        if cursor is None:
            break
    assert seen == [str(made[index]) for index in (1, 2, 3, 0)]


async def test_a_product_in_two_languages_with_its_price(
    client: httpx.AsyncClient, catalogue: Catalogue
) -> None:
    product = await catalogue.product("feature:hd", price=29900)
    russian = (await client.get(f"/v1/products/{product}")).json()
    english = (await client.get(f"/v1/products/{product}", headers={"Accept-Language": "en"})).json()
    assert (russian["title"], english["title"]) == ("Базовая", "Basic")
    assert english["prices"][0]["amount"] == {"amount": 29900, "currency": "RUB"}
    await catalogue.product("feature:hd", product_id=product, status="retired")
    assert (await client.get(f"/v1/products/{product}")).status_code == 404


async def test_a_product_says_what_goes_on_for_who_does_not_pay(
    client: httpx.AsyncClient, catalogue: Catalogue
) -> None:
    product = await catalogue.product("collection:basic", "feature:hd", reduced=["collection:basic"])
    await catalogue.product("feature:hd", rank=9)
    shown = (await client.get(f"/v1/products/{product}")).json()
    assert (shown["grants"], shown["reduced_grants"]) == (
        ["collection:basic", "feature:hd"],
        ["collection:basic"],
    )
    listed = (await client.get("/v1/products")).json()["items"]
    assert [one["reduced_grants"] for one in listed] == [["collection:basic"], []]


async def test_a_price_shows_its_term_and_its_next_amount_until_it_holds(
    client: httpx.AsyncClient, catalogue: Catalogue, clock: ManualClock
) -> None:
    changes_at = clock.now() + timedelta(days=30)
    product = await catalogue.product(
        "feature:hd", price=29900, term_periods=12, next_amount=Money(34900), valid_from=changes_at
    )
    ahead = await catalogue.product("feature:hd", price=29900, valid_from=changes_at)

    async def price() -> dict[str, Any]:
        (only,) = (await client.get(f"/v1/products/{product}")).json()["prices"]
        return dict(only)

    shown = await price()
    assert (shown["amount"]["amount"], shown["term_periods"]) == (29900, 12)
    assert shown["next_amount"] == {"amount": 34900, "currency": "RUB"}
    assert datetime.fromisoformat(shown["next_amount_from"]) == changes_at
    assert (await client.get(f"/v1/products/{ahead}")).json()["prices"] == [], "on sale from its date"
    clock.advance(timedelta(days=30))
    shown = await price()
    assert (shown["amount"]["amount"], shown["next_amount"], shown["next_amount_from"]) == (34900, None, None)
    assert len((await client.get(f"/v1/products/{ahead}")).json()["prices"]) == 1


@pytest.mark.parametrize("cursor", ["x", "W10", "WzEsMl0", "WzEsIngiXQ", "%00", "a" * 600])
async def test_a_made_up_cursor_is_refused(client: httpx.AsyncClient, cursor: str) -> None:
    answer = await client.get("/v1/products", params={"cursor": cursor})
    assert answer.status_code in (400, 422)
    assert answer.json()["type"].startswith("/problems/")
