"""The price of an invoice: every line in the one declared order, with the steps that explain it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction

from billing_api.billing_service.domain.discounts.base import Discount, LineTerms, Phase, Source
from billing_api.billing_service.domain.discounts.registry import kind_named
from billing_api.billing_service.domain.discounts.stacking import choose, running
from billing_api.billing_service.domain.explanation import (
    ExplanationMismatch,
    Recomputed,
    Step,
    as_weights,
    recompute,
    recompute_due,
    round_fraction,
    stands_at_minimum,
)
from billing_api.billing_service.domain.vat import RUSSIAN_VAT, VatTable
from shared.money import EXPONENTS, allocate, divide_half_up, vat_included
from shared.period import Period

__all__ = [
    "RUSSIAN_VAT",
    "AppliedDiscount",
    "ExplanationMismatch",
    "LineInput",
    "LineKind",
    "PricedLine",
    "Quote",
    "Recomputed",
    "Step",
    "VatTable",
    "price_quote",
    "recompute",
    "recompute_due",
]


class LineKind(StrEnum):
    """A charge for a product, or the credit for days that were paid and not used (change of product)."""

    CHARGE = "charge"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class LineInput:
    """What is being charged or credited, before any rule was applied.

    ``unit_minor``: list price of one unit for a whole period, VAT included; for a CREDIT what was really
    paid for the period (positive). ``charged_days``: days of ``period`` that are charged, None for all.
    ``vat_rate_bp``: None takes the rate of the invoice's day; a CREDIT must name its own invoice's.
    """

    key: str
    product_id: str
    unit_minor: int
    kind: LineKind = LineKind.CHARGE
    price_id: str | None = None
    quantity: int = 1
    period: Period | None = None
    charged_days: int | None = None
    minimum_minor: int = 0
    vat_rate_bp: int | None = None

    def __post_init__(self) -> None:
        if self.unit_minor < 0 or self.quantity < 1 or self.minimum_minor < 0:
            raise ValueError("price and minimum are not negative, quantity is positive")
        if self.charged_days is not None and (
            self.period is None or not 0 <= self.charged_days <= self.period.days
        ):
            raise ValueError("charged days must lie within the line's period")
        if self.kind is LineKind.CREDIT and self.vat_rate_bp is None:
            raise ValueError("a credit names the VAT rate of the invoice it credits")


@dataclass(frozen=True, slots=True)
class AppliedDiscount:
    """What one discount took, minor units; ``days_taken`` for kinds that count days."""

    discount_id: str
    source: Source
    kind: str
    amount_minor: int
    days_taken: int = 0


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line as it goes on the invoice; amounts in minor units, VAT included, a credit is negative."""

    key: str
    kind: LineKind
    product_id: str
    price_id: str | None
    quantity: int
    period: Period | None
    list_minor: int
    discount_minor: int
    amount_minor: int
    vat_rate_bp: int
    vat_minor: int
    discounts: tuple[AppliedDiscount, ...]
    steps: tuple[Step, ...]

    @property
    def amount_without_vat_minor(self) -> int:
        return self.amount_minor - self.vat_minor


@dataclass(frozen=True, slots=True)
class Quote:
    """A whole invoice before it is written; a preview and the later invoice are this same value.

    ``to_balance_minor`` is what a negative total leaves on the personal account.
    """

    currency: str
    lines: tuple[PricedLine, ...]
    discounts: tuple[AppliedDiscount, ...]
    list_minor: int
    discount_minor: int
    total_minor: int
    vat_minor: int
    balance_applied_minor: int
    amount_due_minor: int
    to_balance_minor: int
    steps: tuple[Step, ...]


class _Line:
    """A line while it is being priced: where it stands and what was taken so far."""

    def __init__(self, given: LineInput) -> None:
        self.given = given
        period_days = given.period.days if given.period else None
        charged = period_days if given.charged_days is None else given.charged_days
        sign = -1 if given.kind is LineKind.CREDIT else 1
        whole = sign * given.unit_minor * given.quantity
        first: dict[str, object] = {
            "unit_minor": given.unit_minor,
            "quantity": given.quantity,
            "minimum_minor": given.minimum_minor,
        }
        if period_days is not None:
            first["period_days"] = period_days
        self.steps = [Step("list_price" if sign > 0 else "unused_days", 0, whole, first)]
        base = whole
        if charged is not None and period_days is not None and charged != period_days:
            base = divide_half_up(whole * charged, period_days)
            detail = {"days": charged, "period_days": period_days, "rounding": "half_up"}
            self.steps.append(Step("proration", whole, base, detail))
        self.terms = LineTerms(base, given.quantity, charged, period_days)
        self.standing = base
        self.applied: list[AppliedDiscount] = []

    def takes(self, discount: Discount) -> bool:
        wanted = not discount.product_ids or self.given.product_id in discount.product_ids
        return wanted and self.given.kind is LineKind.CHARGE and self.terms.base_minor > 0

    def floor(self, discount: Discount) -> int:
        keeps = kind_named(discount.kind).keeps_minimum
        return min(self.given.minimum_minor, self.terms.base_minor) if keeps else 0

    def exact_off(self, discount: Discount, standing: Fraction) -> Fraction:
        """What the discount takes from the line, never below the floor; exact minor units."""
        off = kind_named(discount.kind).amount_off(discount.value, discount.days_used, self.terms, standing)
        return max(Fraction(0), min(off, standing - self.floor(discount)))

    def take(self, discount: Discount, part_minor: int, extra: dict[str, object]) -> None:
        kind = kind_named(discount.kind)
        days = kind.days_taken(discount.value, discount.days_used, self.terms)
        detail: dict[str, object] = {
            "rule_id": discount.id,
            "source": discount.source.value,
            "discount_kind": discount.kind,
            kind.value_name: discount.value,
            **({"label": discount.label} if discount.label else {}),
            **({"days_taken": days, "days_used_before": discount.days_used} if days else {}),
            **extra,
        }
        self.steps.append(Step("discount", self.standing, self.standing - part_minor, detail))
        self.standing -= part_minor
        self.applied.append(AppliedDiscount(discount.id, discount.source, discount.kind, part_minor, days))

    def take_relative(self, discounts: Sequence[Discount]) -> None:
        """Price-setting and percentage discounts in order; rounded once, on their sum, half up."""
        standing = Fraction(self.terms.base_minor)
        taken: list[tuple[Discount, Fraction]] = []
        for discount in discounts:
            off = self.exact_off(discount, standing)
            if off > 0:
                taken.append((discount, off))
                standing -= off
        if not taken:
            return
        shares = [off for _, off in taken]
        rounded = round_fraction(sum(shares, Fraction(0)))
        for (discount, off), part in zip(taken, allocate(rounded, as_weights(shares)), strict=True):
            self.take(discount, part, {"exact_off_minor": str(off)})
        if standing.denominator != 1:
            detail = {"exact_minor": str(standing), "rounding": "half_up_on_discount"}
            self.steps.append(Step("rounding", self.standing, self.standing, detail))

    def finish(self, invoice_rate_bp: int) -> PricedLine:
        given = self.given
        floor_minor = min(given.minimum_minor, self.terms.base_minor)
        if stands_at_minimum(self.standing, floor_minor, [one.kind for one in self.applied]):
            self.steps.append(Step("minimum", self.standing, self.standing, {"floor_minor": floor_minor}))
        rate_bp = invoice_rate_bp if given.vat_rate_bp is None else given.vat_rate_bp
        vat = vat_included(self.standing, rate_bp)
        detail = {"rate_bp": rate_bp, "vat_minor": vat, "rounding": "half_up"}
        self.steps.append(Step("vat", self.standing, self.standing, detail))
        return PricedLine(
            key=given.key,
            kind=given.kind,
            product_id=given.product_id,
            price_id=given.price_id,
            quantity=given.quantity,
            period=given.period,
            list_minor=self.terms.base_minor,
            discount_minor=self.terms.base_minor - self.standing,
            amount_minor=self.standing,
            vat_rate_bp=rate_bp,
            vat_minor=vat,
            discounts=tuple(self.applied),
            steps=tuple(self.steps),
        )


def price_quote(
    lines: Sequence[LineInput],
    *,
    currency: str,
    now: datetime,
    day: date,
    discounts: Iterable[Discount] = (),
    available_balance_minor: int = 0,
    debt_minor: int = 0,
    vat: VatTable = RUSSIAN_VAT,
) -> Quote:
    """Price an invoice opened at ``now`` (UTC), ``day`` in the account's zone (domain rule 2).

    Order: list price (prorated), promotion, personal discount, promo code, floor, VAT out of the amount,
    account balance, amount due. ``available_balance_minor``: what the customer has on account (>= 0 counts).
    ``debt_minor`` > 0: what the account owes without an invoice; this one asks for it, and takes no balance.
    Raises ValueError for an empty invoice, a doubled line key or an unknown currency.
    """
    if not lines or len({line.key for line in lines}) != len(lines):
        raise ValueError("an invoice needs lines with distinct keys")
    if currency not in EXPONENTS:
        raise ValueError("unknown currency")
    priced = [_Line(line) for line in lines]
    candidates = running(discounts, currency=currency, now=now, day=day)
    chosen = choose(candidates, lambda discount: _benefit_alone(discount, priced))
    relative = [discount for discount in chosen if kind_named(discount.kind).phase is not Phase.ABSOLUTE]
    for line in priced:
        line.take_relative([discount for discount in relative if line.takes(discount)])
    for discount in chosen:
        if kind_named(discount.kind).phase is Phase.ABSOLUTE:
            _take_absolute(discount, priced)
    invoice_rate_bp = vat.rate_on(day)
    finished = [line.finish(invoice_rate_bp) for line in priced]
    return _total(currency, finished, available_balance_minor, debt_minor)


def _benefit_alone(discount: Discount, lines: Sequence[_Line]) -> Fraction:
    eligible = [line for line in lines if line.takes(discount)]
    if kind_named(discount.kind).phase is Phase.ABSOLUTE:
        room = sum(line.terms.base_minor - line.floor(discount) for line in eligible)
        return Fraction(min(_invoice_amount(discount, eligible), room))
    offs = (line.exact_off(discount, Fraction(line.terms.base_minor)) for line in eligible)
    return sum(offs, Fraction(0))


def _invoice_amount(discount: Discount, eligible: Sequence[_Line]) -> int:
    """The whole fixed amount for this invoice: in full if any line is charged for a full period."""
    kind = kind_named(discount.kind)
    offs = [
        kind.amount_off(discount.value, discount.days_used, line.terms, Fraction(line.standing))
        for line in eligible
    ]
    return round_fraction(max(offs, default=Fraction(0)))


def _take_absolute(discount: Discount, lines: Sequence[_Line]) -> None:
    eligible = [line for line in lines if line.takes(discount)]
    rooms = [max(0, line.standing - line.floor(discount)) for line in eligible]
    whole = min(_invoice_amount(discount, eligible), sum(rooms))
    if whole <= 0:
        return
    for line, part in zip(eligible, allocate(whole, rooms), strict=True):
        if part:
            line.take(discount, part, {"share_minor": part, "invoice_amount_minor": whole})


def _total(
    currency: str, lines: Sequence[PricedLine], available_balance_minor: int, debt_minor: int
) -> Quote:
    total = sum(line.amount_minor for line in lines)
    balance = -debt_minor if debt_minor > 0 else max(0, min(total, available_balance_minor))
    due = max(0, total - balance)
    steps = (
        Step("total", 0, total),
        Step("debt", total, total - balance, {"debt_minor": debt_minor})
        if debt_minor > 0
        else Step("account_balance", total, total - balance, {"available_minor": available_balance_minor}),
        Step("amount_due", total - balance, due),
    )
    taken: dict[str, AppliedDiscount] = {}
    for one in (discount for line in lines for discount in line.discounts):
        before = taken.get(one.discount_id)
        amount = one.amount_minor + (before.amount_minor if before else 0)
        # Free days run on the calendar: two lines of one period use the same days, not twice as many.
        days = max(one.days_taken, before.days_taken if before else 0)
        taken[one.discount_id] = AppliedDiscount(one.discount_id, one.source, one.kind, amount, days)
    return Quote(
        currency=currency,
        lines=tuple(lines),
        discounts=tuple(taken.values()),
        list_minor=sum(line.list_minor for line in lines),
        discount_minor=sum(line.discount_minor for line in lines),
        total_minor=total,
        vat_minor=sum(line.vat_minor for line in lines),
        balance_applied_minor=balance,
        amount_due_minor=due,
        to_balance_minor=max(0, -total),
        steps=steps,
    )
