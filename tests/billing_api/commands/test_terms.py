"""A new price with its date and notice, and the dunning that a product asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.errors import AppError
from tests.billing_api.commands.test_changing import maintain, shop, subscriber
from tests.billing_api.commands.test_renewing import collect, outcome, parallel, run

JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def reprice(world: Any, amount: int, valid_from: datetime | None, sequence: int = 2) -> None:
    world.product(
        "basic", amount, product_id=world.basic, price_id=world.basic_price, sequence=sequence,
        valid_from=valid_from,
    )  # fmt: skip


def renew(world: Any, anna: Any) -> int:
    assert run(world)[1] == 1
    (attempt,) = collect(world)
    outcome(world, anna, attempt)
    return attempt.amount_minor


def test_a_new_price_reaches_a_subscriber_at_its_date_after_a_notice(world) -> None:
    from tests.billing_api.commands.world import event_data

    shop(world)
    anna, started = subscriber(world)
    reprice(world, 59900, JUNE)
    assert maintain(world).price_notices == 1
    assert maintain(world).price_notices == 0
    (told,) = event_data("subscription.price_will_change")
    assert (told["upcoming_price"]["amount"], told["upcoming_price_from"][:10]) == (59900, "2026-06-01")
    assert world.invoice(world.buy(world.customer()).invoice_id).total_minor == 49900  # until the date
    world.now = datetime(2026, 5, 11, 12, tzinfo=UTC)
    assert renew(world, anna) == 49900
    world.now = JUNE
    assert world.invoice(world.buy(world.customer()).invoice_id).total_minor == 59900
    world.now = datetime(2026, 6, 11, 12, tzinfo=UTC)
    assert renew(world, anna) == 59900
    assert world.subscription(started).unit_minor == 59900
    assert maintain(world).price_notices == 0


def test_without_a_date_or_a_notice_the_price_stays(world) -> None:
    shop(world)
    anna, _ = subscriber(world)
    reprice(world, 59900, None)
    assert maintain(world).price_notices == 0
    world.now = datetime(2026, 5, 11, 12, tzinfo=UTC)
    assert renew(world, anna) == 49900
    reprice(world, 69900, JUNE, sequence=3)
    world.now = datetime(2026, 6, 11, 12, tzinfo=UTC)
    assert renew(world, anna) == 49900  # nobody told the user: a period longer
    assert maintain(world).price_notices == 1
    world.now = datetime(2026, 7, 11, 12, tzinfo=UTC)
    assert renew(world, anna) == 69900


def test_a_price_keeps_its_currency(world: Any) -> None:
    """An event that says otherwise is parked whole: 5.99 dollars were once charged as 5.99 roubles."""
    from billing_api.billing_service.commands.apply_catalog_event import apply_catalog_event
    from billing_api.billing_service.models import Price
    from shared.money import Money
    from shared.period import IntervalUnit
    from shared.queue.messages.catalog import LocalizedText, PriceState, ProductState

    shop(world)
    dollars = PriceState(
        price_id=world.basic_price,
        amount=Money(599, "USD"),
        interval_unit=IntervalUnit.MONTH,
        valid_from=JUNE,
    )
    words = LocalizedText(ru="в долларах", en="in dollars")
    state = ProductState(
        product_id=world.basic, slug="basic", kind="recurring", group="plans", title=words, description=words,
        grants=[], prices=[dollars], status="published", updated_at=world.now,
    )  # fmt: skip
    with pytest.raises(AppError, match="price-currency-changed"):
        apply_catalog_event(state, sequence=2, now=world.now)
    price = Price.objects.select_related("product").get(id=world.basic_price)
    assert (price.currency, price.product.sequence, price.valid_from_at) == ("RUB", 1, None)


def test_a_price_that_is_in_another_currency_reaches_no_subscriber(world: Any) -> None:
    """Rows from before such an event was refused."""
    from billing_api.billing_service.models import Price

    shop(world)
    anna, started = subscriber(world)
    world.now = datetime(2026, 5, 11, 12, tzinfo=UTC)
    other = {"currency": "USD", "amount_minor": 599, "valid_from_at": datetime(2026, 5, 20, tzinfo=UTC)}
    Price.objects.filter(id=world.basic_price).update(**other)
    assert maintain(world).price_notices == 0
    subscription = world.subscription(started)
    # Told of it by an earlier version.
    subscription.price_noticed_minor, subscription.price_noticed_at = 599, world.now
    subscription.save(using="billing")
    assert renew(world, anna) == 49900
    world.now = datetime(2026, 6, 11, 12, tzinfo=UTC)
    assert renew(world, anna) == 49900


def policy(world: Any, **given: Any) -> None:
    from billing_api.billing_service.models import Product

    Product.objects.filter(id=world.basic).update(dunning_policy=given)


def test_a_products_own_dunning(world) -> None:
    from billing_api.billing_service.models import Invoice

    shop(world)
    policy(world, soft_retry_days=[2, 4], cancel_day=6)
    anna, started = subscriber(world)
    world.now = datetime(2026, 5, 11, 12, tzinfo=UTC)
    run(world)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="soft")
    assert Invoice.objects.get(kind="renewal").next_collection_at == world.now + timedelta(days=2)
    world.pass_time(days=5)
    assert maintain(world).dunning_ended == 0
    world.pass_time(days=1)
    assert maintain(world).dunning_ended == 1
    assert world.subscription(started).status == "cancelled"


def test_what_is_left_after_the_grace_is_told_with_its_end(world) -> None:
    """The product says what stays; until the day its dunning gives up, and never after a cancellation."""
    from billing_api.billing_service import queries
    from billing_api.billing_service.models import Product
    from tests.billing_api.commands.world import event_data

    shop(world)
    policy(world, cancel_day=14)
    anna, started = subscriber(world)  # 11 Apr to 11 May
    world.product("basic", 49900, product_id=world.basic, price_id=world.basic_price, sequence=9,
        terms={"reduced_grants": ["collection:basic"]})  # fmt: skip
    assert Product.objects.get(id=world.basic).reduced_grants == ["collection:basic"]
    world.now = datetime(2026, 5, 11, 12, tzinfo=UTC)
    run(world)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="soft")
    told = event_data("subscription.past_due")[-1]
    assert (told["access_until"], told["reduced_until"]) == ("2026-05-13T21:00:00Z", "2026-05-24T21:00:00Z")
    (basis,) = queries.access_bases(anna.user_id)
    assert (basis["until"], basis["reduced_until"]) == (told["access_until"], told["reduced_until"])
    assert (basis["grants"], basis["reduced_grants"]) == (["collection:basic"], ["collection:basic"])
    assert queries.subscription_view(world.subscription(started))["reduced_until"] == told["reduced_until"]
    world.pass_time(days=21)
    assert maintain(world).dunning_ended == 1
    told = event_data("subscription.cancelled")[-1]
    assert (told["grants_access"], told["reduced_until"]) == (False, None)
    assert queries.access_bases(anna.user_id) == []


def test_a_policy_that_makes_no_sense_is_refused(world) -> None:
    from billing_api.billing_service.dunning_plan import policy_of

    for wrong in ({"soft_retry_days": [3, 1]}, {"cancel_day": 1}, {"colour": "red"}):
        with pytest.raises(AppError, match="dunning-policy-invalid"):
            policy_of(wrong)


def test_the_attempts_of_a_card_count_over_all_invoices(world) -> None:
    """Twice in 24 hours with this card elsewhere: a retry after 15 minutes would be the fourth."""
    from billing_api.billing_service.models import Invoice

    shop(world)
    card = UUID(int=7)
    anna, _ = subscriber(world)
    world.now = datetime(2026, 5, 11, 12, tzinfo=UTC)
    for _ in range(2):
        world.hear(world.payment(None, anna.user_id, "failed", amount=100, decline="soft",
                                 payment_method_id=card))  # fmt: skip
    run(world)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="technical", payment_method_id=card)
    assert Invoice.objects.get(kind="renewal").next_collection_at == world.now + timedelta(hours=24)


def test_r12_a_price_edit_during_checkouts_charges_what_the_invoice_says(world) -> None:
    from billing_api.billing_service.models import Invoice
    from shared.money import Money

    shop(world)
    buyers = [world.customer() for _ in range(8)]

    def work(index: int) -> None:
        if index == 3:
            reprice(world, 59900, None)
            return
        world.buy(buyers[index], expected_amount=Money(49900))

    errors = parallel(work, 8)
    assert {getattr(error, "code", error) for error in errors} <= {"price-changed"}
    # Whoever got through is charged what was seen; the others saw nothing written.
    assert set(Invoice.objects.values_list("total_minor", flat=True)) <= {49900}
    assert Invoice.objects.count() == 7 - len(errors)
    late = world.customer()
    with pytest.raises(AppError, match="price-changed"):
        world.buy(late, expected_amount=Money(49900))
    assert world.invoice(world.buy(late).invoice_id).total_minor == 59900


def test_r12_without_the_seen_amount_the_charge_is_another(world) -> None:
    """The naive twin: a checkout that does not say what the user saw."""
    from billing_api.billing_service import queries
    from billing_api.billing_service.commands.quote_price import quote_price

    shop(world)
    anna = world.customer()
    seen = queries.quote_view(quote_price(anna, product_id=world.basic, now=world.now).offer)
    reprice(world, 59900, None)
    assert world.invoice(world.buy(anna).invoice_id).total_minor != seen["amount_due"]["amount"]
