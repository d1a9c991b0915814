"""Change of product: the oracles through the real commands, its payment, lapse, renewal, refund and races."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.errors import AppError
from shared.period import IntervalUnit
from tests.billing_api.commands.test_renewing import collect, outcome, parallel, run
from tests.billing_api.commands.test_staff import said

APRIL_11 = datetime(2026, 4, 11, 9, tzinfo=UTC)


def shop(world: Any, at: datetime = APRIL_11) -> Any:
    """Basic 499.00, premium 799.00, lite 299.00, a premium year, all of one group."""
    world.now = at
    world.premium, world.premium_price = world.product("premium", 79900)
    world.lite, world.lite_price = world.product("lite", 29900)
    world.year, world.year_price = world.product("year", 799000, interval=IntervalUnit.YEAR)
    world.week, world.week_price = world.product("week", 19900, interval=IntervalUnit.WEEK)
    return world


def subscriber(world: Any, **more: Any) -> Any:
    anna = world.customer()
    started = world.buy(anna, **more)
    world.pay(started, anna)
    return anna, started


def change(world: Any, started: Any, product: Any, **more: Any) -> Any:
    from billing_api.billing_service.commands.change_product import change_product

    return change_product(started.subscription_id, product_id=product, now=world.now, **more)


def pay(world: Any, anna: Any, changed: Any, **more: Any) -> Any:
    state = world.payment(changed.invoice_id, anna.user_id, **more)
    world.hear(state)
    return state


def maintain(world: Any) -> Any:
    from billing_api.billing_service.commands.run_maintenance import run_maintenance

    return run_maintenance(now=world.now)


def close_answers(world: Any, result: str) -> int:
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.settle_close_answer import settle_close_answer
    from billing_api.billing_service.models import OutgoingOrder

    orders = list(OutgoingOrder.objects.filter(kind="close_payments", state="pending"))
    for order in orders:
        settle_close_answer(order.id, OrderAnswer("accepted", result=result), now=world.now)
    return len(orders)


def change_row(started: Any) -> Any:
    from billing_api.billing_service.models import PendingChange

    return PendingChange.objects.filter(subscription_id=started.subscription_id).latest("created_at", "id")


def holds() -> None:
    from billing_api.billing_service.invariants import check_invariants

    assert [one.name for one in check_invariants() if not one.holds] == []


def test_oracle_499_changed_on_26_april_credits_249_50(world) -> None:
    from billing_api.billing_service import queries
    from tests.billing_api.commands.world import event_data, events

    shop(world)
    anna, started = subscriber(world)
    world.now = datetime(2026, 4, 26, 12, tzinfo=UTC)
    preview = queries.change_view(change(world, started, world.premium, preview=True).offer)
    before = (len(events()), world.subscription(started).updated_at)
    changed = change(world, started, world.premium, expected_amount=None)
    invoice = world.invoice(changed.invoice_id)
    shown = queries.invoice_view(invoice)
    assert before[0] + 1 == len(events())  # only invoice.issued: nothing changes before the payment
    assert [line["net"]["amount"] for line in shown["lines"]] == [39950, -24950]
    assert [line["description"]["en"] for line in shown["lines"]] == [
        "premium plan",
        "Unused days: basic plan",
    ]
    assert (invoice.kind, invoice.total_minor, invoice.amount_due_minor) == ("change", 15000, 15000)
    wanted = ("subtotal", "discount", "total", "vat", "balance_applied", "amount_due")
    money = {name: preview[name]["amount"] for name in wanted}
    assert money["total"] == money["amount_due"] == 15000
    assert money["vat"] == invoice.vat_minor
    for priced, stored in zip(preview["lines"], shown["lines"], strict=True):
        assert {name: stored[name] for name in priced} == priced
    pending = queries.subscription_view(world.subscription(started))["pending_change"]
    assert pending == {
        "product_id": str(world.premium),
        "price_id": str(world.premium_price),
        "effective_on": "2026-04-26",
        "invoice_id": str(changed.invoice_id),
    }
    assert world.subscription(started).product_id == world.basic
    assert change(world, started, world.premium).invoice_id == changed.invoice_id  # the same one again

    pay(world, anna, changed)
    subscription = world.subscription(started)
    assert (subscription.product_id, subscription.unit_minor) == (world.premium, 79900)
    assert (str(subscription.period_start_on), str(subscription.period_end_on)) == (
        "2026-04-11",
        "2026-05-11",
    )
    assert event_data("subscription.changed")[-1]["product_id"] == str(world.premium)
    assert queries.subscription_view(subscription)["pending_change"] is None
    assert world.balance(anna) == 0
    world.now = datetime(2026, 5, 11, 12, tzinfo=UTC)
    assert run(world)[1] == 1
    (attempt,) = collect(world)
    assert attempt.amount_minor == preview["next_total"]["amount"] == 79900
    outcome(world, anna, attempt)
    holds()


def test_staff_who_give_money_back_are_told_what_the_change_has_credited(world) -> None:
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from billing_api.billing_service.commands.refund_payment import refund_payment
    from shared.money import Money

    shop(world)
    anna = world.customer()
    started = world.buy(anna)
    state = world.pay(started, anna)

    def twice(amount_minor: int) -> tuple[int, int]:
        refund = refund_payment(state.payment_id, Money(amount_minor), preview=True, **said(world))
        credit = adjust_charge(started.invoice_id, Money(-amount_minor), preview=True, **said(world))
        return refund.credited_already.amount, credit.credited_already.amount

    assert twice(49900) == (0, 0)
    world.now = datetime(2026, 4, 26, 12, tzinfo=UTC)
    changed = change(world, started, world.premium)
    assert twice(49900) == (0, 0)  # a change not paid for is given up by it
    paid = pay(world, anna, changed)
    assert twice(24950) == (0, 0)  # the days that were used
    assert twice(30000) == (5050, 5050)
    assert twice(49900) == (24950, 24950)
    # The change itself is what a refund undoes.
    newest = refund_payment(paid.payment_id, Money(15000), preview=True, **said(world))
    assert newest.credited_already.amount == 0
    world.hear(world.refund(paid))
    assert twice(49900) == (0, 0)
    holds()


def test_oracle_31_days_with_10_left_credits_160_97(world) -> None:
    shop(world, datetime(2026, 5, 1, 9, tzinfo=UTC))
    _, started = subscriber(world)
    world.now = datetime(2026, 5, 22, 9, tzinfo=UTC)
    quote = change(world, started, world.premium, preview=True).offer.quote
    assert [line.amount_minor for line in quote.lines] == [25774, -16097]


def test_the_credit_is_what_was_really_paid(world) -> None:
    shop(world)
    world.promo_code("HALF", value=5000)
    _, started = subscriber(world, promo_code="HALF")
    world.now = datetime(2026, 4, 26, 12, tzinfo=UTC)
    quote = change(world, started, world.premium, preview=True).offer.quote
    assert [line.amount_minor for line in quote.lines][1] == -12475


def test_cheaper_waits_for_the_end_of_the_period_and_can_be_taken_back(world) -> None:
    from billing_api.billing_service import queries

    shop(world)
    anna, started = subscriber(world)
    world.pass_time(days=5)
    preview = queries.change_view(change(world, started, world.lite, preview=True).offer)
    assert (preview["timing"], preview["effective_on"]) == ("at_period_end", "2026-05-11")
    assert (preview["amount_due"]["amount"], preview["next_total"]["amount"]) == (0, 29900)
    assert change(world, started, world.lite).invoice_id is None
    assert world.subscription(started).product_id == world.basic
    change(world, started, world.basic)  # what it has: the change is taken back
    assert change_row(started).state == "replaced"
    with pytest.raises(AppError, match="product-unchanged"):
        change(world, started, world.basic)
    change(world, started, world.lite)
    world.now = datetime(2026, 5, 11, 12, tzinfo=UTC)
    run(world)
    (attempt,) = collect(world)
    assert attempt.amount_minor == 29900
    outcome(world, anna, attempt)
    subscription = world.subscription(started)
    assert (subscription.product_id, subscription.status) == (world.lite, "active")
    assert change_row(started).state == "done"
    holds()


def test_another_interval_starts_a_full_period_that_day(world) -> None:
    shop(world)
    anna, started = subscriber(world)
    world.now = datetime(2026, 4, 26, 12, tzinfo=UTC)
    changed = change(world, started, world.year)
    invoice = world.invoice(changed.invoice_id)
    assert invoice.total_minor == 799000 - 24950
    state = pay(world, anna, changed)
    subscription = world.subscription(started)
    assert (str(subscription.period_start_on), str(subscription.period_end_on)) == (
        "2026-04-26",
        "2027-04-26",
    )
    assert str(subscription.anchor_on) == "2026-04-26"
    assert subscription.access_until.date().isoformat() == "2027-04-28"
    holds()
    # Given back whole within the window: the old product's days are paid again.
    world.pass_time(days=2)
    world.hear(world.refund(state))
    subscription = world.subscription(started)
    assert (subscription.product_id, subscription.status) == (world.basic, "active")
    assert (str(subscription.period_start_on), str(subscription.period_end_on)) == (
        "2026-04-11",
        "2026-05-11",
    )
    assert change_row(started).state == "undone"
    quote = change(world, started, world.premium, preview=True).offer.quote
    assert [line.amount_minor for line in quote.lines] == [34623, -21623]  # 13 of 30 days
    holds()


def test_a_net_below_zero_becomes_balance(world) -> None:
    shop(world)
    anna, started = subscriber(world, product_id=world.year)
    world.pass_time(days=10)
    world.product("week", 19900, interval=IntervalUnit.WEEK, product_id=world.week, sequence=2,
                  price_id=world.week_price)  # fmt: skip
    changed = change(world, started, world.week)  # 199.00 a week is dearer than 7990.00 a year
    invoice = world.invoice(changed.invoice_id)
    assert invoice.status == "paid"
    assert invoice.total_minor == 19900 - 777110  # 355 of 365 days
    assert world.available(anna) == 757210
    subscription = world.subscription(started)
    assert (subscription.product_id, subscription.latest_invoice_id) == (world.week, invoice.id)
    holds()
    world.pass_time(days=7)
    run(world)
    assert world.available(anna) == 757210 - 19900
    holds()


def test_a_second_change_credits_the_tail_the_first_one_paid(world) -> None:
    shop(world)
    anna, started = subscriber(world)
    world.now = datetime(2026, 4, 26, 12, tzinfo=UTC)
    pay(world, anna, change(world, started, world.premium))
    world.now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    top, _ = world.product("top", 99900)
    changed = change(world, started, top)
    # 10 of 30 days at 999.00, less 10 of the 15 days that 399.50 paid for.
    assert [line.net_minor for line in world.invoice(changed.invoice_id).lines.order_by("position")] == [
        33300,
        -26633,
    ]
    pay(world, anna, changed)
    holds()


def test_in_a_trial_the_change_is_immediate_and_free(world) -> None:
    from billing_api.billing_service.models import Invoice

    shop(world)
    trial, _ = world.product("trial", 39900, trial_days=14)
    anna = world.customer()
    started = world.buy(anna, trial)
    world.pass_time(days=3)
    assert change(world, started, world.lite).invoice_id is None  # cheaper, and at once all the same
    subscription = world.subscription(started)
    assert (subscription.product_id, subscription.status) == (world.lite, "trialing")
    assert str(subscription.period_end_on) == "2026-04-25"
    change(world, started, world.year)
    world.pass_time(days=11)
    run(world)
    invoice = Invoice.objects.get()
    assert (invoice.total_minor, str(invoice.period_end_on)) == (799000, "2027-04-25")


def test_an_unpaid_change_lapses_at_the_end_of_its_day(world) -> None:
    shop(world)
    anna, started = subscriber(world)
    world.now = datetime(2026, 4, 26, 12, tzinfo=UTC)
    changed = change(world, started, world.premium)
    assert change_row(started).lapses_at == datetime(2026, 4, 26, 21, tzinfo=UTC)  # midnight in Moscow
    world.now = datetime(2026, 4, 26, 20, 59, tzinfo=UTC)
    assert maintain(world).changes_lapsing == 0
    world.now = datetime(2026, 4, 26, 21, tzinfo=UTC)
    assert maintain(world).changes_lapsing == 1
    assert close_answers(world, "in_flight") == 1
    assert world.invoice(changed.invoice_id).status == "open"
    assert close_answers(world, "closed") == 1
    assert world.invoice(changed.invoice_id).status == "void"
    assert change_row(started).state == "lapsed"
    # Money that arrives after that is the customer's balance.
    pay(world, anna, changed, amount=15000)
    assert world.subscription(started).product_id == world.basic
    assert world.available(anna) == 15000
    holds()


def test_a_payment_in_flight_at_the_lapse_still_carries_it_out(world) -> None:
    shop(world)
    anna, started = subscriber(world)
    world.now = datetime(2026, 4, 26, 12, tzinfo=UTC)
    changed = change(world, started, world.premium)
    world.pass_time(hours=10)
    maintain(world)
    close_answers(world, "in_flight")
    pay(world, anna, changed)
    assert world.subscription(started).product_id == world.premium
    assert change_row(started).state == "done"
    holds()


def test_a_new_change_closes_the_one_that_waits(world) -> None:
    from billing_api.billing_service.commands.change_product import abandon_change

    shop(world)
    anna, started = subscriber(world)
    world.now = datetime(2026, 4, 26, 12, tzinfo=UTC)
    first = change(world, started, world.premium)
    with pytest.raises(AppError, match="pending-change-open") as refused:
        change(world, started, world.year)
    assert refused.value.extra["invoice_id"] == str(first.invoice_id)
    abandon_change(started.subscription_id, now=world.now)
    assert world.invoice(first.invoice_id).status == "void"
    abandon_change(started.subscription_id, now=world.now)
    second = change(world, started, world.year)
    pay(world, anna, second)
    assert world.subscription(started).product_id == world.year
    holds()


def test_a_renewal_due_meanwhile_waits_and_is_issued_for_the_old_product(world) -> None:
    from billing_api.billing_service.models import Invoice

    shop(world)
    _, started = subscriber(world)
    world.now = datetime(2026, 5, 10, 12, tzinfo=UTC)
    changed = change(world, started, world.premium)
    assert change_row(started).lapses_at == datetime(2026, 5, 10, 21, tzinfo=UTC)
    world.now = datetime(2026, 5, 11, 12, tzinfo=UTC)
    assert run(world)[1] == 0
    assert close_answers(world, "in_flight") == 1
    assert run(world)[1] == 0
    close_answers(world, "closed")
    assert world.invoice(changed.invoice_id).status == "void"
    assert run(world)[1] == 1
    renewal = Invoice.objects.get(kind="renewal")
    assert (renewal.total_minor, str(renewal.period_start_on)) == (49900, "2026-05-11")
    holds()


@pytest.mark.parametrize("state", ["cancelling", "past_due", "other_group", "film", "blocked", "too_late"])
def test_refusals(world, state: str) -> None:
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription
    from billing_api.billing_service.models import Account, Invoice, PendingChange

    shop(world)
    anna, started = subscriber(world)
    wanted, code = world.premium, "subscription-transition-refused"
    if state == "cancelling":
        cancel_subscription(started.subscription_id, now=world.now)
    elif state == "past_due":
        world.pass_time(days=31)
        run(world)
        (attempt,) = collect(world)
        outcome(world, anna, attempt, "failed", decline="soft")
    elif state == "film":
        wanted, code = world.film, "product-not-in-group"
    elif state == "other_group":
        from billing_api.billing_service.models import Product

        Product.objects.filter(id=world.premium).update(product_group="sport")
        code = "product-not-in-group"
    elif state == "blocked":
        Account.objects.update(status="blocked")
        code = "account-blocked"
    else:
        world.pass_time(days=31)  # the renewal is due and not issued yet
        code = "renewal-due"
    count = Invoice.objects.count()
    with pytest.raises(AppError, match=code):
        change(world, started, wanted)
    assert (Invoice.objects.count(), PendingChange.objects.count()) == (count, 0)


def test_another_price_than_the_one_seen_is_refused_with_the_new_one(world) -> None:
    from shared.money import Money

    shop(world)
    _, started = subscriber(world)
    with pytest.raises(AppError, match="price-changed") as refused:
        change(world, started, world.premium, expected_amount=Money(1))
    assert refused.value.extra["quote"]["amount_due"]["amount"] == 30000


def test_a_scheduled_cancellation_and_an_end_close_the_change(world) -> None:
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription

    shop(world)
    anna, started = subscriber(world)
    changed = change(world, started, world.premium)
    cancel_subscription(started.subscription_id, now=world.now)
    assert change_row(started).state == "replaced"
    pay(world, anna, changed)  # it was in flight: the money is balance, the product stays
    subscription = world.subscription(started)
    assert (subscription.product_id, subscription.cancel_at_period_end) == (world.basic, True)
    assert world.available(anna) == changed.offer.amount_due.amount
    holds()


def test_cancelled_now_after_a_change_gives_back_both_payments(world) -> None:
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription
    from billing_api.billing_service.models import OutgoingOrder

    shop(world)
    anna, started = subscriber(world)
    world.now = datetime(2026, 4, 26, 12, tzinfo=UTC)
    pay(world, anna, change(world, started, world.premium))
    world.now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    done = cancel_subscription(started.subscription_id, mode="now", refund_unused=True, now=world.now)
    assert done.credited.amount == done.to_card.amount == 26633  # 10 of 15 days of 399.50
    orders = OutgoingOrder.objects.filter(kind="refund").order_by("created_at", "id")
    assert [order.amount_minor for order in orders] == [15000, 11633]
    holds()


@pytest.mark.parametrize("rounds", [3])
def test_r11_a_change_and_a_renewal_leave_one_price_and_one_period(world, rounds: int) -> None:
    from billing_api.billing_service.models import Invoice

    shop(world)
    people = [subscriber(world) for _ in range(rounds)]
    world.now = datetime(2026, 5, 11, 12, tzinfo=UTC)
    for _, started in people:
        jobs = [lambda: run(world), lambda started=started: change(world, started, world.premium)]
        errors = parallel(lambda index: jobs[index % 2](), 6)  # noqa: B023
        assert {getattr(error, "code", error) for error in errors} <= {
            "renewal-due",
            "subscription-transition-refused",
        }
        assert Invoice.objects.filter(subscription_id=started.subscription_id).count() == 2
        renewal = Invoice.objects.get(subscription_id=started.subscription_id, kind="renewal")
        assert renewal.total_minor == 49900
        assert world.subscription(started).product_id == world.basic
    holds()


def test_r11_a_change_that_trusts_what_it_read_bills_the_wrong_product(world, monkeypatch) -> None:
    """The naive twin: it decides before the account is locked, and a renewal comes in between."""
    from billing_api.billing_service.commands import change_product as command
    from billing_api.billing_service.models import Invoice, Subscription

    shop(world)
    _, started = subscriber(world)
    world.now = datetime(2026, 5, 10, 12, tzinfo=UTC)
    stale = Subscription.objects.select_related("account", "product").get(id=started.subscription_id)
    monkeypatch.setattr(command, "hold_subscription", lambda *_: stale)
    later = world.now + timedelta(days=1)

    def renewal() -> None:
        world.now = later
        run(world)

    thread = threading.Thread(target=renewal)
    thread.start()
    thread.join()
    world.now = datetime(2026, 5, 10, 20, tzinfo=UTC)
    changed = change(world, started, world.premium)  # the period it prorates is over by now
    assert Invoice.objects.filter(kind="renewal").count() == 1
    assert (
        world.invoice(changed.invoice_id).period_end_on == Invoice.objects.get(kind="renewal").period_start_on
    )
