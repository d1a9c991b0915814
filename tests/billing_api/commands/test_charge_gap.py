"""At most one automatic charge of a subscription in 24 hours, and what that wait does not do to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from shared.period import IntervalUnit
from tests.billing_api.commands.test_changing import holds, maintain
from tests.billing_api.commands.test_renewing import collect, outcome, run, subscriber


def behind(world: Any, days: int = 95, **more: Any) -> Any:
    """A subscriber for whom the scheduler stood still, everything missed now billed."""
    anna, started = subscriber(world, **more)
    world.pass_time(days=days)
    run(world)
    return anna, started


def next_charge_after(world: Any, hours: int) -> None:
    """No charge a minute later, nor just before the gap is over; then one."""
    world.pass_time(minutes=1)
    assert collect(world) == []
    world.pass_time(hours=hours - 1)
    assert collect(world) == []
    world.pass_time(hours=1)
    assert len(collect(world)) == 1


def test_a_charge_carried_out_late_holds_the_next_one_back(world: Any) -> None:
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.commands.settle_collection_answer import settle_collection_answer
    from billing_api.billing_service.models import CollectionAttempt

    anna, _ = behind(world)
    plan_collection(now=world.now)
    world.pass_time(hours=26)  # UserAPI was away
    attempt = CollectionAttempt.objects.get()
    settle_collection_answer(attempt.id, OrderAnswer("accepted"), now=world.now)
    outcome(world, anna, attempt)
    next_charge_after(world, hours=24)


def test_a_new_card_charged_by_userapi_holds_the_next_one_back(world: Any) -> None:
    anna, _ = behind(world)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="hard")
    world.pass_time(days=2)
    world.hear(world.payment(attempt.invoice_id, anna.user_id, initiator="merchant"))
    next_charge_after(world, hours=24)


def test_the_customers_own_payment_holds_nothing_back(world: Any) -> None:
    anna, _ = behind(world)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="hard")
    world.pass_time(days=2)
    world.hear(world.payment(attempt.invoice_id, anna.user_id))
    assert len(collect(world)) == 1


def test_our_own_gap_between_charges_cancels_nobody(world: Any) -> None:
    """A failure on day 0, paid on day 20; days billed behind it are charged one a day, the 21st too."""
    from billing_api.billing_service.models import Invoice

    daily, _ = world.product("daily", 1000, interval=IntervalUnit.DAY)
    anna, started = behind(world, days=5, product_id=daily)
    (attempt,) = collect(world)
    outcome(world, anna, attempt, "failed", decline="hard")
    assert world.subscription(started).status == "past_due"
    world.pass_time(days=20)
    world.hear(world.payment(attempt.invoice_id, anna.user_id))
    row = world.subscription(started)
    assert (row.status, row.past_due_at) == ("active", None)
    assert Invoice.objects.filter(status="open").count() == 4
    for _ in range(2):
        (attempt,) = collect(world)
        outcome(world, anna, attempt)
        world.pass_time(days=1)
        maintain(world)
        assert world.subscription(started).status == "active"
    holds()


def test_dunning_counts_from_the_first_failure_of_what_is_still_open(world: Any) -> None:
    anna, started = behind(world, days=62)
    (older,) = collect(world)
    outcome(world, anna, older, "failed", decline="hard")
    first_failed_at = world.now
    # UserAPI has tried a new card with both in turn; the newer failed five days later.
    world.pass_time(days=5)
    from billing_api.billing_service.models import Invoice

    newer = Invoice.objects.filter(status="open").latest("period_start_on")
    world.hear(world.payment(newer.id, anna.user_id, "failed", initiator="merchant", decline="hard"))
    assert world.subscription(started).past_due_at == first_failed_at
    world.hear(world.payment(older.invoice_id, anna.user_id))
    row = world.subscription(started)
    assert (row.status, row.past_due_at) == ("past_due", first_failed_at + timedelta(days=5))
    world.pass_time(days=17)
    maintain(world)
    assert world.subscription(started).status == "past_due"
    world.pass_time(days=5)
    maintain(world)
    assert world.subscription(started).status == "cancelled"


def test_a_card_tried_too_often_waits_without_dunning(world: Any) -> None:
    """UserAPI holds the card to its limit over all subscriptions; nothing was begun, nothing has failed."""
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.commands.settle_collection_answer import settle_collection_answer
    from billing_api.billing_service.models import CollectionAttempt, OutgoingOrder

    _, started = behind(world, days=31)
    plan_collection(now=world.now)
    attempt = CollectionAttempt.objects.get()
    assert "card_limit" not in OutgoingOrder.objects.get(id=attempt.id).body
    answer = OrderAnswer("later", "card-limit", retry_after_seconds=5 * 3600)
    assert settle_collection_answer(attempt.id, answer, now=world.now).state == "withdrawn"
    assert OutgoingOrder.objects.get(id=attempt.id).state == "withdrawn"
    invoice = world.invoice(attempt.invoice_id)
    assert (invoice.status, invoice.collection, invoice.collection_failures) == ("open", "none", 0)
    assert world.subscription(started).status == "active"
    world.pass_time(hours=4)
    assert collect(world) == []
    world.pass_time(hours=1)
    assert len(collect(world)) == 1


def test_a_products_own_limit_of_tries_is_told(world: Any) -> None:
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.models import OutgoingOrder, Product

    Product.objects.filter(id=world.basic).update(dunning_policy={"attempts_per_card": 1})
    behind(world, days=31)
    plan_collection(now=world.now)
    assert OutgoingOrder.objects.get().body["card_limit"] == {"attempts": 1, "window_hours": 24}
