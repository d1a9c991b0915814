"""R2, R5 and R12: what holds under concurrency, each beside the naive code that does not hold."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from shared.errors import AppError
from shared.money import Money
from tests.billing_api.commands.test_renewing import parallel
from tests.billing_api.commands.test_staff import bought, said

TOGETHER = 8


def test_r2_counting_and_then_writing_would_let_one_user_redeem_twice(world, superuser) -> None:
    from billing_api.billing_service.models import Account, PromoRedemption
    from shared.ids import new_id

    code = world.promo_code("ONCE")
    anna, _, _ = bought(world)
    account = Account.objects.get(user_id=anna.user_id)
    barrier = threading.Barrier(TOGETHER)

    def naive(_number: int) -> None:
        """Neither the account's lock nor the unique ordinal: looks, then writes."""
        used = PromoRedemption.objects.filter(promo_code=code, account=account).count()
        barrier.wait()
        if used < 1:
            PromoRedemption.objects.create(
                account=account,
                promo_code=code,
                subscription_id=new_id(),
                ordinal=used + 1,
                state="reserved",
                reserved_at=world.now,
            )

    with_key = parallel(naive, TOGETHER)
    assert PromoRedemption.objects.filter(promo_code=code).count() == 1, "the unique key holds by itself"
    assert len(with_key) == TOGETHER - 1
    superuser.execute(
        "SELECT indexname FROM pg_indexes WHERE tablename = 'promo_redemption' AND indexdef"
        " LIKE '%UNIQUE%ordinal%'"
    )
    ((index,),) = superuser.fetchall()
    superuser.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", (index,))
    ((definition,),) = superuser.fetchall()
    superuser.execute("DELETE FROM promo_redemption")
    superuser.execute(f"DROP INDEX {index}")
    try:
        assert parallel(naive, TOGETHER) == []
        assert PromoRedemption.objects.filter(promo_code=code).count() == TOGETHER
    finally:
        superuser.execute("DELETE FROM promo_redemption")
        superuser.execute(definition)


def test_r5_a_storm_of_refunds_gives_back_each_payment_once(world) -> None:
    from django.db.models import Sum

    from billing_api.billing_service.commands.refund_payment import refund_payment
    from billing_api.billing_service.models import OutgoingOrder

    payments = [bought(world)[2] for _ in range(10)]

    def refund_all(_number: int) -> None:
        for state in payments:
            try:
                refund_payment(state.payment_id, state.captured, **said(world))
            except AppError as error:
                refused.append(error.code)

    refused: list[str] = []
    assert parallel(refund_all, 4) == []
    assert refused == ["refund-exceeds-payment"] * 30
    ordered = OutgoingOrder.objects.filter(kind="refund")
    assert ordered.count() == 10
    assert ordered.aggregate(sum=Sum("amount_minor"))["sum"] == sum(one.captured.amount for one in payments)


def test_r5_reading_and_then_ordering_would_refund_more_than_was_paid(world, monkeypatch: Any) -> None:
    from billing_api.billing_service import locks
    from billing_api.billing_service.commands import refund_payment as module
    from billing_api.billing_service.models import Account, OutgoingOrder

    _, _, state = bought(world)
    barrier = threading.Barrier(TOGETHER)
    real_left = module._left

    def left_then_wait(*arguments: Any) -> int:
        left = real_left(*arguments)
        barrier.wait()
        return left

    monkeypatch.setattr(locks, "lock_account", lambda account_id: Account.objects.get(id=account_id))
    monkeypatch.setattr(module, "_left", left_then_wait)
    refunded = parallel(
        lambda _number: module.refund_payment(state.payment_id, state.captured, **said(world)), TOGETHER
    )
    assert refunded == []
    assert OutgoingOrder.objects.filter(kind="refund").count() == TOGETHER


def test_r12_what_was_shown_is_what_is_charged_while_the_price_is_edited(world) -> None:
    from billing_api.billing_service.models import InvoiceLine

    prices = (49_900, 59_900)
    sequence = [1]

    def edit(_number: int) -> None:
        for _ in range(6):
            sequence[0] += 1
            world.product(
                "basic",
                prices[sequence[0] % 2],
                product_id=world.basic,
                price_id=world.basic_price,
                sequence=sequence[0],
            )

    bought_for: list[tuple[int, int]] = []
    refused: list[str] = []

    def checkout(number: int) -> None:
        for _ in range(5):
            shown = prices[number % 2]
            try:
                started = world.buy(world.customer(), expected_amount=Money(shown))
            except AppError as error:
                refused.append(error.code)
                continue
            bought_for.append((shown, world.invoice(started.invoice_id).total_minor))

    errors = parallel(lambda number: edit(number) if number == 0 else checkout(number), 5)
    assert errors == []
    assert set(refused) <= {"price-changed"}
    assert all(shown == charged for shown, charged in bought_for)
    for line in InvoiceLine.objects.all():
        assert line.steps[0]["unit_minor"] == line.list_minor == line.net_minor
    # What is invoiced already stays as it was, whatever the price is now.
    before = list(InvoiceLine.objects.order_by("id").values_list("id", "net_minor"))
    edit(0)
    assert list(InvoiceLine.objects.order_by("id").values_list("id", "net_minor")) == before


def test_r12_without_the_expected_amount_the_new_price_is_charged(world) -> None:
    """The naive checkout, that shows a price and then buys without saying which."""
    shown = 49_900
    world.product("basic", 59_900, product_id=world.basic, price_id=world.basic_price, sequence=2)
    naive = world.buy(world.customer())
    assert world.invoice(naive.invoice_id).total_minor == 59_900 != shown
    with pytest.raises(AppError, match="price-changed"):
        world.buy(world.customer(), expected_amount=Money(shown))
