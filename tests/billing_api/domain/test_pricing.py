"""Pricing: the declared order, discounts in sequence, VAT, balance, and explanations that can be checked."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_api.billing_service.domain.discounts.base import Discount, Duration, DurationKind, Source
from billing_api.billing_service.domain.discounts.registry import KINDS, kind_named
from billing_api.billing_service.domain.pricing import (
    RUSSIAN_VAT,
    ExplanationMismatch,
    LineInput,
    LineKind,
    Quote,
    VatTable,
    price_quote,
    recompute,
    recompute_due,
)
from shared.period import Period

NOW = datetime(2026, 4, 11, 9, tzinfo=UTC)
DAY = date(2026, 4, 11)
APRIL = Period(date(2026, 4, 11), date(2026, 5, 11))


def discount(kind: str, value: int, **more: object) -> Discount:
    given_: dict[str, object] = {
        "id": f"{kind}-{value}",
        "source": Source.PROMOTION,
        "currency": "RUB",
        "created_at": NOW,
        "duration": Duration(DurationKind.FOREVER),
    }
    return Discount(kind=kind, value=value, **{**given_, **more})  # type: ignore[arg-type]


def quote(*discounts: Discount, price: int = 49_900, balance: int = 0, **line: object) -> Quote:
    one = LineInput("1", "basic", price, **{"period": APRIL, **line})  # type: ignore[arg-type]
    return price_quote(
        [one], currency="RUB", now=NOW, day=DAY, discounts=discounts, available_balance_minor=balance
    )


def verified(priced: Quote) -> Quote:
    """The quote, after its stored explanation (through JSON) gave the same figures again."""
    lines = []
    for line in priced.lines:
        again = recompute(json.loads(json.dumps([step.as_json() for step in line.steps])))
        assert (again.list_minor, again.discount_minor) == (line.list_minor, line.discount_minor)
        assert (again.amount_minor, again.vat_minor) == (line.amount_minor, line.vat_minor)
        assert sum(one.amount_minor for one in line.discounts) == line.discount_minor
        lines.append(again)
    assert recompute_due([step.as_json() for step in priced.steps], lines) == priced.amount_due_minor
    return priced


def test_oracle_two_10_percent_are_19_not_20() -> None:
    priced = verified(quote(discount("percentage", 1_000, id="a"), discount("percentage", 1_000, id="b")))
    assert priced.discount_minor == 9_481
    assert priced.total_minor == 40_419


def test_oracle_29_percent_of_50_kopecks_leaves_35() -> None:
    priced = verified(quote(discount("percentage", 2_900), price=50))
    assert (priced.discount_minor, priced.total_minor) == (15, 35)


def test_every_percent_of_every_price_to_2000_is_rounded_once_half_up() -> None:
    for percent in range(1, 100):
        one = discount("percentage", percent * 100)
        for price in range(1, 2_001, 7 if percent % 10 else 1):
            priced = quote(one, price=price)
            assert priced.discount_minor == (price * percent + 50) // 100


def test_two_percentages_are_rounded_on_their_sum_once() -> None:
    for first in (100, 700, 3_300):
        for second in (100, 1_500, 9_900):
            pair = (discount("percentage", first, id="a"), discount("percentage", second, id="b"))
            for price in range(1, 400):
                left = Fraction(price) * (10_000 - first) * (10_000 - second) / 10**8
                exact = price - left
                assert quote(*pair, price=price).discount_minor == int(exact + Fraction(1, 2))


def test_oracle_vat_is_20_percent_until_2025_and_22_from_2026() -> None:
    assert RUSSIAN_VAT.rate_on(date(2025, 12, 31)) == 2_000
    assert RUSSIAN_VAT.rate_on(date(2026, 1, 1)) == 2_200
    priced = verified(quote())
    assert (priced.vat_minor, priced.lines[0].amount_without_vat_minor) == (8_998, 40_902)


def test_vat_before_the_first_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="no VAT rate"):
        RUSSIAN_VAT.rate_on(date(2018, 12, 31))
    with pytest.raises(ValueError, match="rising"):
        VatTable(((date(2026, 1, 1), 1), (date(2025, 1, 1), 1)))


def test_fixed_amounts_come_after_percentages_whatever_their_source() -> None:
    promotion = discount("fixed_amount", 10_000)
    personal = discount("percentage", 1_000, source=Source.PERSONAL)
    priced = verified(quote(promotion, personal))
    assert priced.total_minor == 49_900 - 4_990 - 10_000
    assert [one.kind for one in priced.lines[0].discounts] == ["percentage", "fixed_amount"]


def test_sources_are_applied_promotion_personal_promo_code() -> None:
    order = [
        discount("percentage", 500, id=source.value, source=source)
        for source in (Source.PROMO_CODE, Source.PERSONAL, Source.PROMOTION)
    ]
    priced = verified(quote(*order))
    assert [one.source for one in priced.lines[0].discounts] == list(Source)


def test_an_exclusive_discount_beats_stackable_ones_even_larger() -> None:
    exclusive = discount("percentage", 500, id="x", exclusive=True)
    priced = verified(quote(exclusive, discount("percentage", 5_000)))
    assert [one.discount_id for one in priced.discounts] == ["x"]


def test_among_exclusive_ones_priority_then_benefit_then_age_decides() -> None:
    small = discount("percentage", 500, id="small", exclusive=True, priority=1)
    large = discount("percentage", 5_000, id="large", exclusive=True)
    assert quote(small, large).discounts[0].discount_id == "small"
    other = discount("fixed_amount", 24_950, id="older", exclusive=True, created_at=NOW - timedelta(days=1))
    assert quote(large, other).discounts[0].discount_id == "older"
    better = discount("percentage", 5_001, id="better", exclusive=True)
    assert quote(large, other, better).discounts[0].discount_id == "better"


def test_fixed_price_never_raises_the_price_and_is_prorated_with_the_line() -> None:
    assert verified(quote(discount("fixed_price", 19_900))).total_minor == 19_900
    assert quote(discount("fixed_price", 60_000)).total_minor == 49_900
    assert verified(quote(discount("fixed_price", 20_000), charged_days=15)).total_minor == 10_000
    assert verified(quote(discount("fixed_price", 10_000), quantity=2)).total_minor == 20_000


def test_fixed_amount_on_part_of_a_period_is_the_same_part_of_it() -> None:
    assert verified(quote(discount("fixed_amount", 10_000), charged_days=15)).discount_minor == 5_000


def test_free_periods_make_the_line_free_until_they_are_used_up() -> None:
    assert verified(quote(discount("free_periods", 2), minimum_minor=100)).total_minor == 0
    assert quote(discount("free_periods", 2, invoices_used=1)).total_minor == 0
    assert quote(discount("free_periods", 2, invoices_used=2)).total_minor == 49_900


def test_free_days_pass_on_to_the_next_invoice() -> None:
    first = verified(quote(discount("free_days", 40)))
    assert (first.total_minor, first.discounts[0].days_taken) == (0, 30)
    second = verified(quote(discount("free_days", 40, days_used=30)))
    assert (second.discount_minor, second.discounts[0].days_taken) == (16_633, 10)
    assert quote(discount("free_days", 40, days_used=40)).discount_minor == 0


def test_free_days_of_two_lines_are_the_same_days() -> None:
    lines = [LineInput(key, "p", 30_000, period=APRIL) for key in ("1", "2")]
    off = discount("free_days", 10)
    priced = verified(price_quote(lines, currency="RUB", now=NOW, day=DAY, discounts=[off]))
    assert (priced.discounts[0].amount_minor, priced.discounts[0].days_taken) == (20_000, 10)


def test_the_price_stays_at_the_configured_minimum_and_never_below_zero() -> None:
    assert verified(quote(discount("percentage", 10_000), minimum_minor=1_000)).total_minor == 1_000
    assert verified(quote(discount("fixed_amount", 90_000), minimum_minor=1_000)).total_minor == 1_000
    assert verified(quote(discount("fixed_amount", 90_000))).total_minor == 0
    (line,) = quote(discount("percentage", 10_000), minimum_minor=1_000).lines
    assert [step.kind for step in line.steps] == ["list_price", "discount", "minimum", "vat"]
    for free in (quote(minimum_minor=1_000), quote(discount("percentage", 100), minimum_minor=1_000)):
        assert "minimum" not in {step.kind for step in free.lines[0].steps}
    assert quote(minimum_minor=60_000).total_minor == 49_900  # a minimum does not raise a list price


def test_account_balance_is_taken_last() -> None:
    priced = verified(quote(discount("percentage", 1_000), balance=10_000))
    assert (priced.balance_applied_minor, priced.amount_due_minor) == (10_000, 34_910)
    assert verified(quote(balance=99_999)).amount_due_minor == 0
    assert verified(quote(balance=-500)).amount_due_minor == 49_900  # a debt is not taken twice


def test_a_debt_is_asked_for_beside_the_total_and_takes_no_balance() -> None:
    line = LineInput("1", "", 0)
    asked = verified(
        price_quote(
            [line], currency="RUB", now=NOW, day=DAY, available_balance_minor=9_000, debt_minor=30_000
        )
    )
    assert (asked.total_minor, asked.vat_minor, asked.balance_applied_minor) == (0, 0, -30_000)
    assert asked.amount_due_minor == 30_000
    steps = [step.as_json() for step in asked.steps]
    steps[1]["debt_minor"] = 29_999
    with pytest.raises(ExplanationMismatch):
        recompute_due(steps, [recompute([step.as_json() for step in asked.lines[0].steps])])


def test_a_fixed_amount_is_split_over_lines_without_losing_a_kopeck() -> None:
    for amount in range(1, 400, 3):
        lines = [LineInput(str(n), "p", price) for n, price in enumerate((100, 33, 67, 1))]
        off = discount("fixed_amount", amount)
        priced = verified(price_quote(lines, currency="RUB", now=NOW, day=DAY, discounts=[off]))
        assert priced.discount_minor == min(amount, 201)
        assert all(line.amount_minor >= 0 for line in priced.lines)


def test_a_discount_works_only_for_its_products_currency_window_and_budget() -> None:
    other = discount("percentage", 1_000, product_ids=frozenset({"premium"}))
    dollars = discount("percentage", 1_000, currency="USD")
    early = discount("percentage", 1_000, window_starts_at=NOW + timedelta(seconds=1))
    late = discount("percentage", 1_000, window_ends_at=NOW)
    poor = discount("percentage", 1_000, budget_left_minor=4_989)
    for one in (other, dollars, early, late, poor):
        assert quote(one).discount_minor == 0
    assert quote(discount("percentage", 1_000, budget_left_minor=4_990)).discount_minor == 4_990
    started = discount("percentage", 1_000, window_ends_at=NOW, invoices_used=1, started_on=DAY)
    assert quote(started).discount_minor == 4_990


@pytest.mark.parametrize(
    ("duration", "started_on", "used", "runs"),
    [
        (Duration(), None, 0, True),
        (Duration(), DAY, 1, False),
        (Duration(DurationKind.REPEATING_INVOICES, 3), DAY, 2, True),
        (Duration(DurationKind.REPEATING_INVOICES, 3), DAY, 3, False),
        (Duration(DurationKind.REPEATING_MONTHS, 2), None, 0, True),
        (Duration(DurationKind.REPEATING_MONTHS, 2), date(2026, 2, 12), 9, True),
        (Duration(DurationKind.REPEATING_MONTHS, 2), date(2026, 2, 11), 1, False),
        (Duration(DurationKind.FOREVER), date(2000, 1, 1), 999, True),
    ],
)
def test_durations(duration: Duration, started_on: date | None, used: int, runs: bool) -> None:
    one = discount("percentage", 1_000, duration=duration, started_on=started_on, invoices_used=used)
    assert (quote(one).discount_minor > 0) is runs


def test_a_credit_line_is_not_discounted_and_keeps_its_own_vat_rate() -> None:
    credit = LineInput(
        "c", "basic", 49_900, LineKind.CREDIT, period=APRIL, charged_days=15, vat_rate_bp=2_000
    )
    off = discount("percentage", 5_000)
    priced = verified(price_quote([credit], currency="RUB", now=NOW, day=DAY, discounts=[off]))
    assert (priced.total_minor, priced.vat_minor, priced.amount_due_minor) == (-24_950, -4_158, 0)
    assert priced.to_balance_minor == 24_950
    with pytest.raises(ValueError, match="VAT rate"):
        LineInput("c", "basic", 1, LineKind.CREDIT)


@pytest.mark.parametrize("field", ["before_minor", "after_minor", "rate_bp", "vat_minor", "unit_minor"])
def test_the_verifier_catches_any_changed_figure(field: str) -> None:
    steps = [step.as_json() for step in quote(discount("percentage", 1_000)).lines[0].steps]
    changed = 0
    for number, step in enumerate(steps):
        if field in step:
            broken = [*steps[:number], {**step, field: step[field] + 7}, *steps[number + 1 :]]
            with pytest.raises(ExplanationMismatch):
                recompute(broken)
            changed += 1
    assert changed


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_refuses_values_outside_its_range(kind: str) -> None:
    kind_named(kind).check(1)
    with pytest.raises(ValueError, match=r"\w"):
        kind_named(kind).check(-1)


def test_unknown_kinds_empty_invoices_and_doubled_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown discount kind"):
        quote(discount("cashback", 1))
    with pytest.raises(ValueError, match="distinct keys"):
        price_quote([], currency="RUB", now=NOW, day=DAY)
    with pytest.raises(ValueError, match="distinct keys"):
        price_quote([LineInput("1", "a", 1), LineInput("1", "b", 1)], currency="RUB", now=NOW, day=DAY)


rules = st.builds(
    lambda kind, value, number, source, exclusive, priority: discount(
        kind,
        1 + value % 10_000 if kind == "percentage" else 1 + value,
        id=str(number),
        source=source,
        exclusive=exclusive,
        priority=priority,
    ),
    st.sampled_from(sorted(KINDS)),
    st.integers(0, 30_000),
    st.uuids(),
    st.sampled_from(list(Source)),
    st.integers(0, 9).map(lambda n: n == 0),
    st.integers(0, 2),
)
line_inputs = st.lists(
    st.tuples(st.integers(0, 100_000), st.integers(1, 3), st.integers(0, 30), st.integers(0, 2_000)),
    min_size=1,
    max_size=4,
)


@given(line_inputs, st.lists(rules, max_size=5), st.integers(-1_000, 200_000))
def test_any_invoice_adds_up_and_explains_itself(
    given_lines: list[tuple[int, int, int, int]], discounts: list[Discount], balance: int
) -> None:
    lines = [
        LineInput(str(n), "p", price, quantity=count, period=APRIL, charged_days=days, minimum_minor=least)
        for n, (price, count, days, least) in enumerate(given_lines)
    ]
    priced = verified(
        price_quote(
            lines, currency="RUB", now=NOW, day=DAY, discounts=discounts, available_balance_minor=balance
        )
    )
    promised_free = {one.id for one in discounts if one.kind.startswith("free")}
    for line, given_line in zip(priced.lines, lines, strict=True):
        assert 0 <= line.amount_minor <= line.list_minor
        if not {one.discount_id for one in line.discounts} & promised_free:
            assert line.amount_minor >= min(given_line.minimum_minor, line.list_minor)
    assert priced.total_minor == priced.list_minor - priced.discount_minor
    assert priced.amount_due_minor + priced.balance_applied_minor == priced.total_minor
    assert sum(one.amount_minor for one in priced.discounts) == priced.discount_minor
    shuffled = price_quote(
        lines, currency="RUB", now=NOW, day=DAY, discounts=discounts[::-1], available_balance_minor=balance
    )
    assert shuffled == priced  # the order of the input decides nothing
