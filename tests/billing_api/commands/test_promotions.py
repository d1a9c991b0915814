"""Promotions and discounts on invoices: to whom, when, for what, for how much; release; stacking."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from billing_api.billing_service.wording import NBSP
from shared.money import Money
from tests.billing_api.commands.test_changing import change, close_answers, maintain
from tests.billing_api.commands.test_renewing import collect, outcome, run


def promotion(world, **columns: Any) -> Any:
    from billing_api.billing_service.models import Promotion

    values = {"kind": "percentage", "value": 1000, "created_at": world.now, "duration_kind": "forever"}
    return Promotion.objects.create(**{**values, **columns})


def bought(world, customer=None, product=None, **more: Any) -> Any:
    customer = customer or world.customer()
    started = world.buy(customer, product, **more)
    return customer, started, world.invoice(started.invoice_id)


def test_only_new_customers_get_it_and_keep_it_for_its_duration(world) -> None:
    """10 % for three invoices from the first; whoever has paid before never gets it."""
    old, started, invoice = bought(world)
    world.pay(started, old)
    promotion(world, segment="new_customers", duration_kind="repeating_invoices", duration_count=3)
    assert bought(world, old, world.film)[2].total_minor == 29900
    anna, started, invoice = bought(world)
    assert invoice.total_minor == 44910
    world.pay(started, anna)
    totals = []
    for _month in range(3):
        world.pass_time(days=31)
        run(world)
        for attempt in collect(world):
            outcome(world, world.customer(world.invoice(attempt.invoice_id).account.user_id), attempt)
            if attempt.subscription_id == started.subscription_id:
                totals.append(attempt.amount_minor)
    assert totals == [44910, 44910, 49900]


@pytest.mark.parametrize(
    ("begins", "ends", "total"),
    [(-1, 1, 44910), (0, None, 44910), (1, None, 49900), (None, 0, 49900), (-2, -1, 49900)],
)
def test_the_window_is_half_open(world, begins: int | None, ends: int | None, total: int) -> None:
    def at(days: int | None) -> Any:
        return None if days is None else world.now + timedelta(days=days)

    promotion(world, starts_at=at(begins), ends_at=at(ends))
    assert bought(world)[2].total_minor == total


def test_it_works_for_its_products_and_only_while_it_is_active(world) -> None:
    one = promotion(world, product_ids=[str(world.film)])
    assert bought(world)[2].total_minor == 49900
    assert bought(world, product=world.film)[2].total_minor == 26910
    one.is_active = False
    one.save(using="billing")
    assert bought(world, product=world.film)[2].total_minor == 29900


def test_a_budget_is_reserved_given_back_by_the_expiry_and_committed_by_the_payment(world) -> None:
    """150.00 pays one invoice of 100.00 off; the second pays the list price until the first expires."""
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.models import DiscountUse, Promotion

    promotion(world, kind="fixed_amount", value=10000, duration_kind="once", budget_minor=15000)
    spent = lambda: Promotion.objects.get().budget_spent_minor  # noqa: E731
    _, _, first = bought(world)
    assert (first.discount_minor, spent()) == (10000, 10000)
    assert bought(world)[2].discount_minor == 0
    world.pass_time(hours=23)
    run_maintenance(now=world.now)
    close_answers(world, "closed")
    assert spent() == 0
    anna, started, again = bought(world)
    assert (again.discount_minor, spent()) == (10000, 10000)
    world.pay(started, anna)
    assert set(DiscountUse.objects.values_list("state", flat=True)) == {"released", "committed"}
    assert bought(world)[2].discount_minor == 0


def test_all_three_sources_stack_in_the_declared_order(world) -> None:
    """499.00 -> promotion 10 % -> personal 10 % -> code 50.00: 499 x 0.9 x 0.9 = 404.19 - 50 = 354.19."""
    from billing_api.billing_service.commands.assign_discount import DiscountTerms, assign_discount
    from tests.billing_api.commands.test_staff import said

    promotion(world)
    anna, started, _ = bought(world, product=world.film)
    assign_discount(anna.user_id, DiscountTerms(kind="percentage", value=1000), **said(world))
    world.promo_code("FIFTY", kind="fixed_amount", value=5000)
    _, _, invoice = bought(world, anna, promo_code="fifty")
    assert invoice.total_minor == 35419
    steps = [step for step in invoice.lines.get().steps if step["kind"] == "discount"]
    assert [step["source"] for step in steps] == ["promotion", "personal", "promo_code"]
    assert [step["before_minor"] - step["after_minor"] for step in steps] == [4990, 4491, 5000]
    # VAT of 22 % is inside what is left: 354.19 x 22 / 122.
    assert invoice.vat_minor == 6387
    assert started.invoice_id != invoice.id


@pytest.mark.parametrize(
    ("kind", "value", "totals"),
    [
        ("free_periods", 2, [0, 0, 49900]),
        ("free_days", 40, [0, 49900 - 14970, 49900]),
        ("fixed_price", 9900, [9900, 9900, 9900]),
        ("fixed_amount", 60000, [0, 0, 0]),
    ],
)
def test_each_kind_of_code_over_three_months(world, kind: str, value: int, totals: list[int]) -> None:
    """Periods of 31, 30 and 31 days: the 9 free days left of the second are 9/30 of 499.00 = 149.70."""
    from billing_api.billing_service.models import Invoice, PromoCode

    duration = {} if kind.startswith("free") else {"duration_kind": "forever"}
    world.promo_code("KIND", kind=kind, value=value, **duration)
    anna, started, first = bought(world, promo_code="kind")
    if first.status == "open":
        world.pay(started, anna)
    for _month in range(2):
        world.pass_time(days=31)
        run(world)
        for attempt in collect(world):
            outcome(world, anna, attempt)
    found = list(Invoice.objects.order_by("period_start_on").values_list("total_minor", flat=True))
    assert found == totals
    assert set(Invoice.objects.values_list("status", flat=True)) == {"paid"}
    assert PromoCode.objects.get().redemptions == 1  # a repeating code counts once


def test_the_minimum_of_the_price_binds_the_first_invoice_the_renewal_and_the_change(world) -> None:
    """90 % of 499.00 stops at 100.00, says so in both languages, and the proof of the line follows it."""
    from billing_api.billing_service import queries
    from tests.billing_api.commands.test_staff import broken

    plan, _ = world.product("least", 49900, minimum=Money(10000))
    dearer, _ = world.product("dearer", 90000, minimum=Money(70000))
    promotion(world, value=9000)
    anna, started, invoice = bought(world, product=plan)
    assert invoice.total_minor == 10000
    (line,) = queries.invoice_view(invoice)["lines"]
    told = {language: " | ".join(texts).replace(NBSP, " ") for language, texts in line["explanation"].items()}
    assert "Скидки не снижают цену ниже 100,00 ₽" in told["ru"]
    assert "Discounts do not go below RUB 100.00" in told["en"]
    world.pay(started, anna)
    world.pass_time(days=31)
    assert run(world)[1] == 1
    (attempt,) = collect(world)
    assert attempt.amount_minor == 10000
    outcome(world, anna, attempt)
    preview = change(world, started, dearer, preview=True)
    assert preview.offer.quote.lines[0].amount_minor == 70000
    done = change(world, started, dearer)
    assert world.invoice(done.invoice_id).total_minor == preview.offer.quote.total_minor
    assert broken() == []


def a_budget_for_one_invoice(world) -> str | None:
    promotion(world, kind="fixed_amount", value=10000, budget_minor=15000)
    return None


def a_gift_to_new_customers_beside_a_better_code(world) -> str | None:
    promotion(world, segment="new_customers")
    return world.promo_code("HALF", value=5000, is_exclusive=True).code


def a_price_announced(world) -> str | None:
    more = {"next_amount": Money(54900), "valid_from": world.now + timedelta(days=10)}
    ids = {"product_id": world.basic, "price_id": world.basic_price}
    world.product("basic", 49900, sequence=2, **ids, **more)
    return None


@pytest.mark.parametrize(
    "given", [a_budget_for_one_invoice, a_gift_to_new_customers_beside_a_better_code, a_price_announced]
)
def test_the_next_total_told_is_what_the_renewal_charges(world, given) -> None:
    from billing_api.billing_service.commands.quote_price import quote_price
    from billing_api.billing_service.models import Invoice

    anna, code = world.customer(), given(world)
    told = quote_price(anna, product_id=world.basic, promo_code=code, now=world.now).offer.next_total
    world.pay(world.buy(anna, promo_code=code), anna)
    maintain(world)
    world.pass_time(days=31)
    run(world)
    assert Invoice.objects.get(kind="renewal").total_minor == told.amount
