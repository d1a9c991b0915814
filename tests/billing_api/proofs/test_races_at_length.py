"""R1, R2, R5, R7, R8, R11 and R12 at their full figures: 40 connections at once, naive twins counted."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from shared.errors import AppError
from shared.money import Money
from tests.billing_api.commands.test_changing import change, close_answers, holds, shop
from tests.billing_api.commands.test_renewing import parallel, run, subscriber
from tests.billing_api.commands.test_staff import bought, said

ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))
CONNECTIONS = 40


def storm(work: Callable[[int], Any], count: int, workers: int = CONNECTIONS) -> list[BaseException]:
    """``count`` calls over ``workers`` threads that begin together; what they raised."""
    todo: SimpleQueue[int] = SimpleQueue()
    for number in range(count):
        todo.put(number)
    raised: list[BaseException] = []

    def worker(_number: int) -> None:
        while True:
            try:
                number = todo.get_nowait()
            except Empty:
                return
            try:
                work(number)
            except Exception as error:
                raised.append(error)

    assert parallel(worker, workers) == []
    return raised


def codes(errors: list[BaseException]) -> dict[str, int]:
    found: dict[str, int] = {}
    for error in errors:
        assert isinstance(error, AppError), error
        found[error.code] = found.get(error.code, 0) + 1
    return found


@pytest.mark.long
def test_r1_100_redemptions_of_a_limit_of_10_in_20_rounds(world) -> None:
    from billing_api.billing_service.models import PromoCode, PromoRedemption

    for number in range(20 * ROUNDS):
        code = world.promo_code(f"STORM{number}", redemption_limit=10)
        buyers = [world.customer() for _ in range(100)]
        errors = storm(lambda index: world.buy(buyers[index], promo_code=code.code), 100)  # noqa: B023
        assert codes(errors) == {"promo-code-exhausted": 90}
        assert PromoRedemption.objects.filter(promo_code=code).count() == 10
        assert PromoCode.objects.get(id=code.id).redemptions == 10


@pytest.mark.long
def test_r1_the_naive_twin_oversells_in_nearly_every_round(world, superuser) -> None:
    """Counts, then writes: at least 19 of 20 rounds end above the limit, so the race has power."""
    from billing_api.billing_service.models import Account, PromoRedemption
    from shared.ids import new_id

    anna, _, _ = bought(world)
    account = Account.objects.get(user_id=anna.user_id)
    oversold = 0
    for number in range(20):
        code = world.promo_code(f"NAIVE{number}", redemption_limit=10)

        def naive(index: int, code=code) -> None:
            if PromoRedemption.objects.filter(promo_code=code).count() < 10:
                PromoRedemption.objects.create(
                    account=account,
                    promo_code=code,
                    subscription_id=new_id(),
                    ordinal=index,
                    state="reserved",
                    reserved_at=world.now,
                )

        assert storm(naive, 100) == []
        oversold += PromoRedemption.objects.filter(promo_code=code).count() > 10
    assert oversold >= 19


@pytest.mark.long
def test_r2_one_user_redeems_once_of_50(world) -> None:
    from billing_api.billing_service.models import PromoRedemption

    films = [world.product(f"film-{i}", 9900, kind="one_time", interval=None)[0] for i in range(50)]
    for number in range(5 * ROUNDS):
        code = world.promo_code(f"ONCE{number}")
        anna = world.customer()
        errors = storm(lambda index: world.buy(anna, films[index], promo_code=code.code), 50)  # noqa: B023
        assert codes(errors) == {"promo-code-already-used": 49}
        assert PromoRedemption.objects.filter(promo_code=code).count() == 1


@pytest.mark.long
def test_r5_500_payments_refunded_twice_by_20_workers(world) -> None:
    """Exactly 500 orders and 500 refusals; then 20 x 10 % of each of 25 payments, and one more."""
    from django.db.models import Sum

    from billing_api.billing_service.commands.refund_payment import refund_payment
    from billing_api.billing_service.models import OutgoingOrder

    payments = [bought(world)[2] for _ in range(500)]
    errors = storm(
        lambda number: refund_payment(payments[number % 500].payment_id, Money(49900), **said(world)),
        1000,
        20,
    )
    assert codes(errors) == {"refund-exceeds-payment": 500}
    ordered = OutgoingOrder.objects.filter(kind="refund")
    assert ordered.count() == 500
    assert ordered.aggregate(sum=Sum("amount_minor"))["sum"] == 500 * 49900
    parts = [bought(world)[2] for _ in range(25)]
    errors = storm(
        lambda number: refund_payment(parts[number % 25].payment_id, Money(4990), **said(world)), 25 * 21, 20
    )
    assert codes(errors) == {"refund-exceeds-payment": 25 * 11}
    for state in parts:
        mine = ordered.filter(payment_id=state.payment_id)
        assert mine.aggregate(sum=Sum("amount_minor"))["sum"] == 49900


@pytest.mark.long
@pytest.mark.parametrize("instances", [2, 3, 4])
def test_r7_several_schedulers_over_1000_due(world, instances: int) -> None:
    """Each starts a run of its own over the same 1,000: exactly 1,000 invoices and 1,000 attempts."""
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.models import CollectionAttempt, Invoice

    for _ in range(1000):
        subscriber(world)
    for number in range(1, ROUNDS + 1):
        world.pass_time(days=31)
        assert parallel(lambda _index: run(world), instances) == []
        renewals = Invoice.objects.filter(kind="renewal", issued_at=world.now)
        assert renewals.count() == 1000
        assert renewals.values("subscription_id").distinct().count() == 1000
        if number == 1:
            assert parallel(lambda _index: plan_collection(now=world.now), instances) == []
            assert CollectionAttempt.objects.count() == 1000
    holds()


@pytest.mark.long
def test_r8_500_pairs_of_cancel_and_renew(world) -> None:
    """Renewed first: its invoice is being closed; cancelled first: there is none. Never anything else."""
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription
    from billing_api.billing_service.commands.plan_collection import plan_collection
    from billing_api.billing_service.models import CollectionAttempt, Invoice, OutgoingOrder

    pairs = [subscriber(world)[1] for _ in range(500)]
    world.pass_time(days=31)

    def either(number: int) -> None:
        if number % 25 == 0:
            run(world)
        if number % 50 == 1:
            plan_collection(now=world.now)
        cancel_subscription(pairs[number].subscription_id, mode="now", now=world.now)

    assert storm(either, 500) == []
    for invoice in Invoice.objects.filter(kind="renewal"):
        assert OutgoingOrder.objects.filter(invoice_id=invoice.id, kind="close_payments").exists()
        # An attempt not yet sent is taken back with it.
        assert not CollectionAttempt.objects.filter(invoice=invoice, state="planned").exists()
    assert run(world) == (None, 0)
    assert plan_collection(now=world.now).attempts == 0
    close_answers(world, "closed")
    assert not Invoice.objects.filter(kind="renewal", status="open").exists()


def _r11(world, people_count: int) -> tuple[int, int]:
    """A paid change of product against the renewal at the boundary; (paid first, renewal first)."""
    from billing_api.billing_service.models import Invoice, OutgoingOrder, PendingChange

    shop(world)
    world.now = datetime(2026, 4, 11, 9, 0, tzinfo=UTC)
    people = [subscriber(world) for _ in range(people_count)]
    last_day = datetime(2026, 5, 10, 20, 59, 59, tzinfo=UTC)  # 23:59:59 in Moscow: a second to the boundary
    world.now = last_day
    changed = [change(world, started, world.premium) for _, started in people]
    world.now = last_day + timedelta(seconds=2)
    paid = [
        world.payment(one.invoice_id, anna.user_id) for one, (anna, _) in zip(changed, people, strict=True)
    ]

    def race(number: int) -> None:
        if number % 10 == 5:
            run(world)
        world.hear(paid[number], 1)

    assert storm(race, people_count) == []
    renewal_first = OutgoingOrder.objects.filter(kind="close_payments").count()
    close_answers(world, "paid")
    run(world)
    for _, started in people:
        subscription = world.subscription(started)
        assert subscription.product_id == world.premium
        (renewal,) = Invoice.objects.filter(subscription_id=started.subscription_id, kind="renewal")
        assert renewal.total_minor == 79900, "one price: that of the product it has"
        assert str(renewal.period_start_on) == "2026-05-11", "one period"
    assert set(PendingChange.objects.values_list("state", flat=True)) == {"done"}
    holds()
    return people_count - renewal_first, renewal_first


def test_r11_a_paid_change_at_the_boundary_against_the_renewal(world) -> None:
    assert sum(_r11(world, 30)) == 30


@pytest.mark.long
def test_r11_300_paid_changes_against_the_renewal(world) -> None:
    paid_first, renewal_first = _r11(world, 300)
    assert paid_first
    assert renewal_first


@pytest.mark.long
def test_r12_300_checkouts_while_the_price_is_edited(world) -> None:
    """Whoever bought is charged what was shown to them, and the lines say so."""
    from billing_api.billing_service.models import InvoiceLine

    prices, sequence, lock = (49_900, 59_900), [1], threading.Lock()
    bought_for: list[tuple[int, int]] = []
    refused: list[str] = []

    def either(number: int) -> None:
        if number % 3 == 0:
            with lock:
                sequence[0] += 1
                version = sequence[0]
            price = prices[version % 2]
            ids = {"product_id": world.basic, "price_id": world.basic_price}
            world.product("basic", price, sequence=version, **ids)
            return
        shown = prices[number % 2]
        try:
            started = world.buy(world.customer(), expected_amount=Money(shown))
        except AppError as error:
            refused.append(error.code)
            return
        bought_for.append((shown, world.invoice(started.invoice_id).total_minor))

    assert storm(either, 450) == []
    assert set(refused) <= {"price-changed"}
    assert bought_for
    assert all(shown == charged for shown, charged in bought_for)
    assert len(bought_for) + len(refused) == 300
    for line in InvoiceLine.objects.all():
        assert line.steps[0]["unit_minor"] == line.list_minor == line.net_minor
