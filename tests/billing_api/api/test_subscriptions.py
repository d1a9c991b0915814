"""A purchase over HTTP: quote, start, resume, refusals, and that a refusal writes nothing."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from shared.ids import new_id
from shared.money import Money
from shared.period import IntervalUnit
from shared.queue.messages.catalog import LocalizedText, PriceState, ProductState
from tests.billing_api.api.conftest import NOW, Callers
from tests.billing_api.api.test_problems import problem
from tests.servers import DatabaseUrls

pytestmark = pytest.mark.usefixtures("billing")
ROOT = "/internal/v1"


def publish(
    amount_minor: int = 49900, *, group: str = "main", status: str = "published", **price: Any
) -> Any:
    """A product with one monthly price, as AdminPanel publishes it."""
    from billing_api.billing_service.commands.apply_catalog_event import apply_catalog_event

    text = LocalizedText(ru="Базовая", en="Basic")
    terms = {"interval_unit": IntervalUnit.MONTH, "is_default": True} | price
    state = ProductState(
        product_id=new_id(),
        slug="basic",
        kind="recurring",
        group=group,
        title=text,
        description=text,
        grants=["collection:all"],
        prices=[PriceState(price_id=new_id(), amount=Money(amount_minor), **terms)],
        trial_needs_method=False,
        status=status,
        updated_at=NOW,
    )
    apply_catalog_event(state, sequence=1, now=NOW)
    return state


@pytest.fixture
def product(billing: DatabaseUrls) -> Any:
    return publish()


def customer(callers: Callers, **changes: Any) -> dict[str, Any]:
    snapshot = {
        "user_id": str(callers.user_id),
        "sequence": 1,
        "locale": "ru",
        "time_zone": "Europe/Moscow",
        "email_hash": callers.user_id.hex,
        "email": "anna@example.com",
        "document_name": "Анна",
    }
    return snapshot | changes


def order(callers: Callers, product: Any, **changes: Any) -> dict[str, Any]:
    return {"customer": customer(callers), "product_id": str(product.product_id)} | changes


def answer(response: Any, status: int) -> Any:
    assert response.status_code == status, response.content
    return json.loads(response.content)


def count(model: str) -> int:
    from billing_api.billing_service import models

    return getattr(models, model).objects.count()


def test_a_quote_is_what_the_invoice_will_be(callers: Callers, product: Any) -> None:
    quote = answer(callers.post(f"{ROOT}/quotes", order(callers, product), key=None), 200)
    assert count("Account") == 0  # it wrote nothing
    started = answer(callers.post(f"{ROOT}/subscriptions", order(callers, product)), 201)
    invoice, subscription = started["invoice"], started["subscription"]
    assert quote["amount_due"] == invoice["amount_due"] == {"amount": 49900, "currency": "RUB"}
    for name in ("total", "vat", "balance_applied"):
        assert quote[name] == invoice[name]
    assert quote["period"] == subscription["current_period"] == {"start": "2026-04-11", "end": "2026-05-11"}
    assert datetime.fromisoformat(quote["renews_at"]) == datetime.fromisoformat("2026-05-11T00:00:00+03:00")
    assert (subscription["status"], invoice["status"], invoice["kind"]) == ("incomplete", "open", "first")
    assert subscription["latest_invoice_id"] == invoice["id"]
    assert invoice["number"] == "2026-000001"


def test_the_same_key_gives_the_same_subscription(callers: Callers, product: Any) -> None:
    body = order(callers, product)
    first = answer(callers.post(f"{ROOT}/subscriptions", body, key="k"), 201)
    again = callers.post(f"{ROOT}/subscriptions", body, key="k")
    assert answer(again, 201) == first
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (count("Subscription"), count("Invoice")) == (1, 1)


def test_another_key_finds_the_open_one(callers: Callers, product: Any) -> None:
    first = answer(callers.post(f"{ROOT}/subscriptions", order(callers, product)), 201)
    second = answer(callers.post(f"{ROOT}/subscriptions", order(callers, product)), 200)
    assert second == first
    assert count("Invoice") == 1


def test_another_product_of_the_group_has_to_wait(callers: Callers, product: Any) -> None:
    first = answer(callers.post(f"{ROOT}/subscriptions", order(callers, product)), 201)
    refused = callers.post(f"{ROOT}/subscriptions", order(callers, publish(99900)), key="k")
    body = problem(refused, 409, "incomplete-subscription")
    assert body["subscription_id"] == first["subscription"]["id"]
    assert body["invoice_id"] == first["invoice"]["id"]
    abandon = f"{ROOT}/subscriptions/{first['subscription']['id']}/abandon"
    assert answer(callers.post(abandon), 200)["subscription"]["status"] == "cancelled"
    # The refusal said 'not now', so the same key goes on to work.
    assert callers.post(f"{ROOT}/subscriptions", order(callers, publish(99900)), key="k2").status_code == 201


def test_a_price_that_changed_is_told_with_the_new_quote(callers: Callers, product: Any) -> None:
    body = order(callers, product, expected_amount={"amount": 39900, "currency": "RUB"})
    refused = problem(callers.post(f"{ROOT}/subscriptions", body), 409, "price-changed")
    assert refused["quote"]["amount_due"] == {"amount": 49900, "currency": "RUB"}
    assert (count("Subscription"), count("Invoice"), count("Account")) == (0, 0, 0)


def test_a_price_not_heard_of_yet(callers: Callers, product: Any) -> None:
    unknown = order(callers, product, product_id=str(new_id()))
    refused = callers.post(f"{ROOT}/subscriptions", unknown, key="k")
    problem(refused, 503, "catalog-catching-up")
    assert refused.headers["Retry-After"] == "1"
    retired = publish(status="retired")
    problem(callers.post(f"{ROOT}/quotes", order(callers, retired)), 404, "product-not-found")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"product_id": "x"}, "body.product_id"),
        ({"product_id": None}, "body.product_id"),
        ({"expected_amount": {"amount": 1.5, "currency": "RUB"}}, "body.expected_amount.amount"),
        ({"expected_amount": {"amount": "499", "currency": "RUB"}}, "body.expected_amount.amount"),
        ({"expected_amount": {"amount": True, "currency": "RUB"}}, "body.expected_amount.amount"),
        ({"expected_amount": {"amount": 1, "currency": "XXX"}}, "body.expected_amount.currency"),
        ({"expected_amount": {"amount": 10**14, "currency": "RUB"}}, "body.expected_amount.amount"),
        ({"promo_code": "x" * 65}, "body.promo_code"),
        ({"promo_code": "a\x00b"}, "body.promo_code"),
        ({"customer": {}}, "body.customer.user_id"),
        ({"customer": {"shoe_size": 42}}, "body.customer.shoe_size"),
        ({"customer": 7}, "body.customer"),
    ],
)
def test_bad_input_names_the_field_and_writes_nothing(
    callers: Callers, product: Any, changes: dict[str, Any], field: str
) -> None:
    refused = callers.post(f"{ROOT}/subscriptions", order(callers, product, **changes))
    body = problem(refused, 422, "invalid-request")
    assert field in {item["field"] for item in body["errors"]}
    assert (count("Subscription"), count("Account")) == (0, 0)


def test_an_address_with_letters_of_any_alphabet_buys(callers: Callers, product: Any) -> None:
    """UserAPI registers it, so it is no reason to refuse a purchase here."""
    asked = order(callers, product, customer=customer(callers, email="аня@пример.рф"))
    answer(callers.post(f"{ROOT}/subscriptions", asked), 201)


def test_a_zone_nobody_knows(callers: Callers, product: Any) -> None:
    body = order(callers, product, customer=customer(callers, time_zone="Mars/Olympus"))
    refused = problem(callers.post(f"{ROOT}/subscriptions", body), 422, "invalid-request")
    assert [item["field"] for item in refused["errors"]] == ["body.customer.time_zone"]


def test_reads_after_it(callers: Callers, product: Any) -> None:
    started = answer(callers.post(f"{ROOT}/subscriptions", order(callers, product)), 201)
    subscription = started["subscription"]
    one = answer(callers.get(f"{ROOT}/subscriptions/{subscription['id'].upper()}"), 200)
    assert one == subscription
    listed = answer(callers.get(f"{ROOT}/subscriptions?user_id={callers.user_id}"), 200)
    assert listed == {"items": [subscription], "next_cursor": None}
    assert answer(callers.get(f"{ROOT}/access-bases?user_id={callers.user_id}"), 200)["items"] == []
    problem(callers.get(f"{ROOT}/subscriptions/{UUID(int=1)}"), 404, "subscription-not-found")
