"""R1 and R2: a promo code's limits hold however many redeem at once; a promotion's budget too."""

from __future__ import annotations

import threading
import time

import pytest

from shared.errors import AppError
from tests.billing_api.commands.test_renewing import parallel

ROUNDS, BUYERS, LIMIT = 5, 12, 3


def test_r1_a_promo_limit_is_exact_under_concurrency(world) -> None:
    from billing_api.billing_service.models import PromoCode, PromoRedemption

    for number in range(ROUNDS):
        code = world.promo_code(f"ROUND{number}", redemption_limit=LIMIT)
        buyers = [world.customer() for _ in range(BUYERS)]
        errors = parallel(lambda index: world.buy(buyers[index], promo_code=code.code), BUYERS)  # noqa: B023
        assert {error.code for error in errors if isinstance(error, AppError)} == {"promo-code-exhausted"}
        assert len(errors) == BUYERS - LIMIT
        assert PromoRedemption.objects.filter(promo_code=code).count() == LIMIT
        assert PromoCode.objects.get(id=code.id).redemptions == LIMIT


def test_r1_reading_and_then_writing_would_oversell(world, monkeypatch: pytest.MonkeyPatch) -> None:
    from billing_api.billing_service import discount_rules
    from billing_api.billing_service.models import PromoCode, PromoRedemption

    def naive(row, account, subscription_id, invoice_id, now) -> None:
        counted = PromoRedemption.objects.filter(promo_code=row).count()
        time.sleep(0.05)
        if counted >= LIMIT:
            raise AssertionError("used up")
        PromoRedemption.objects.create(
            account=account,
            promo_code=row,
            subscription_id=subscription_id,
            invoice_id=invoice_id,
            ordinal=1,
            state="reserved",
            reserved_at=now,
        )

    monkeypatch.setattr(discount_rules, "reserve_promo_code", naive)
    code = world.promo_code("NAIVE", redemption_limit=LIMIT)
    buyers = [world.customer() for _ in range(BUYERS)]
    parallel(lambda index: world.buy(buyers[index], promo_code=code.code), BUYERS)
    assert PromoRedemption.objects.filter(promo_code=code).count() > LIMIT
    assert PromoCode.objects.get().redemptions == 0


def test_r2_one_user_redeems_once(world) -> None:
    from billing_api.billing_service.models import PromoRedemption

    for number in range(ROUNDS):
        code = world.promo_code(f"ONCE{number}")
        anna = world.customer()
        films = [world.product(f"f{number}-{i}", 9900, kind="one_time", interval=None)[0] for i in range(8)]
        errors = parallel(lambda index: world.buy(anna, films[index], promo_code=code.code), 8)  # noqa: B023
        assert {error.code for error in errors} == {"promo-code-already-used"}
        assert PromoRedemption.objects.filter(promo_code=code).count() == 1


def test_a_budget_cannot_be_overspent_and_the_rest_pay_the_list_price(world) -> None:
    from billing_api.billing_service.models import Invoice, Promotion

    promotion = Promotion.objects.create(
        kind="fixed_amount", value=10000, created_at=world.now, budget_minor=35000, duration_kind="once"
    )
    buyers = [world.customer() for _ in range(10)]
    assert parallel(lambda index: world.buy(buyers[index]), 10) == []
    assert Promotion.objects.get(id=promotion.id).budget_spent_minor == 30000
    assert sorted(Invoice.objects.values_list("discount_minor", flat=True)) == [0] * 7 + [10000] * 3


@pytest.mark.parametrize("shared", ["promo code", "promotion"])
def test_takers_stand_in_line(world, superuser, shared: str) -> None:
    """For the row alone they would overtake each other; and a line may be longer than one lock's wait."""
    from billing_api.billing_service.database import cursor
    from billing_api.billing_service.models import Promotion

    code = world.promo_code("POPULAR") if shared == "promo code" else None
    row = code or Promotion.objects.create(
        kind="fixed_amount", value=10000, created_at=world.now, duration_kind="once"
    )
    anna = world.customer()
    turn = f"(hashtextextended('{row.id}', 0))"
    errors: list[BaseException] = []

    def buy(_number: int) -> None:
        with cursor() as database:
            database.execute("SET lock_timeout = '20ms'")
        world.buy(anna, promo_code=code and code.code)

    superuser.execute(f"SELECT pg_advisory_lock{turn}")
    try:
        buying = threading.Thread(target=lambda: errors.extend(parallel(buy, 1)))
        buying.start()
        for _ in range(200):
            superuser.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            if (waiting := superuser.fetchone()) == (1,):
                break
            time.sleep(0.01)
        time.sleep(0.1)
    finally:
        superuser.execute(f"SELECT pg_advisory_unlock{turn}")
        buying.join()
    assert (waiting, errors) == ((1,), [])
    row.refresh_from_db()
    assert (row.redemptions if code else row.budget_spent_minor) > 0


def test_two_tabs_start_one_subscription(world) -> None:
    from billing_api.billing_service.models import Subscription

    for _ in range(ROUNDS):
        anna = world.customer()
        assert parallel(lambda _index: world.buy(anna), 6) == []  # noqa: B023
        assert Subscription.objects.filter(account__user_id=anna.user_id).count() == 1
