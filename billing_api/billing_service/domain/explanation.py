"""The steps that explain a line's figure, and the verifier that works it out again from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import Any

from billing_api.billing_service.domain.discounts.base import LineTerms, Phase
from billing_api.billing_service.domain.discounts.registry import kind_named
from shared.money import allocate, divide_half_up, vat_included

Json = Mapping[str, Any]


class ExplanationMismatch(ValueError):
    """Stored steps do not lead to the stored figure."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step from ``before_minor`` to ``after_minor``; ``detail`` holds its inputs (JSON values only)."""

    kind: str
    before_minor: int
    after_minor: int
    detail: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "before_minor": self.before_minor,
            "after_minor": self.after_minor,
            **self.detail,
        }


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The figures of one line, minor units: ``amount_minor`` is list less discount, VAT included."""

    list_minor: int
    discount_minor: int
    amount_minor: int
    vat_minor: int


def round_fraction(amount_minor: Fraction) -> int:
    """Half up (away from zero), minor units."""
    return divide_half_up(amount_minor.numerator, amount_minor.denominator)


def as_weights(shares: Sequence[Fraction]) -> list[int]:
    """Exact shares brought to whole numbers of one denominator, for ``allocate``."""
    denominator = lcm(*(share.denominator for share in shares))
    return [int(share * denominator) for share in shares]


def stands_at_minimum(amount_minor: int, floor_minor: int, discount_kinds: Iterable[str]) -> bool:
    """Whether discounts that keep the minimum brought a line down to it (a minimum of 0 is none)."""
    return 0 < floor_minor == amount_minor and any(kind_named(kind).keeps_minimum for kind in discount_kinds)


class _Checker:
    """Follows a line's steps and refuses the first one that does not add up."""

    def __init__(self) -> None:
        self.standing = 0

    def expect(self, step: Json, after_minor: int) -> None:
        if step["before_minor"] != self.standing or step["after_minor"] != after_minor:
            raise ExplanationMismatch(
                f"{step['kind']}: {step['before_minor']} to {step['after_minor']} is stored, "
                f"{self.standing} to {after_minor} follows from the inputs"
            )
        self.standing = after_minor


def recompute(steps: Sequence[Json]) -> Recomputed:
    """Work a line out again from the inputs in its stored steps.

    Raises ExplanationMismatch when any stored intermediate figure differs, KeyError when an input is missing.
    """
    check = _Checker()
    start = steps[0]
    if start["kind"] not in ("list_price", "unused_days"):
        raise ExplanationMismatch("an explanation starts with the list price or the unused days")
    sign = -1 if start["kind"] == "unused_days" else 1
    base = sign * int(start["unit_minor"]) * int(start["quantity"])
    check.expect(start, base)
    rest = list(steps[1:])
    charged_days = period_days = start.get("period_days")
    if rest and rest[0]["kind"] == "proration":
        charged_days, period_days = rest[0]["days"], rest[0]["period_days"]
        base = divide_half_up(base * charged_days, period_days)
        check.expect(rest.pop(0), base)
    terms = LineTerms(base, int(start["quantity"]), charged_days, period_days)
    minimum_minor = int(start["minimum_minor"])
    _recompute_discounts(rest, terms, minimum_minor, check)
    amount = check.standing
    _check_minimum(rest, min(minimum_minor, base), amount)
    vat_steps = [step for step in rest if step["kind"] == "vat"]
    if len(vat_steps) != 1 or rest[-1] is not vat_steps[0]:
        raise ExplanationMismatch("an explanation ends with one VAT step")
    vat = vat_included(amount, vat_steps[0]["rate_bp"])
    check.expect(vat_steps[0], amount)
    if vat != vat_steps[0]["vat_minor"]:
        raise ExplanationMismatch(f"vat: {vat_steps[0]['vat_minor']} is stored, {vat} follows")
    return Recomputed(base, base - amount, amount, vat)


def _recompute_discounts(rest: Sequence[Json], terms: LineTerms, minimum_minor: int, check: _Checker) -> None:
    relative = [step for step in rest if step["kind"] == "discount" and not _is_absolute(step)]
    shares: list[Fraction] = []
    standing = Fraction(terms.base_minor)
    for step in relative:
        kind = kind_named(step["discount_kind"])
        floor = min(minimum_minor, terms.base_minor) if kind.keeps_minimum else 0
        used = int(step.get("days_used_before", 0))
        off = kind.amount_off(int(step[kind.value_name]), used, terms, standing)
        shares.append(max(Fraction(0), min(off, standing - floor)))
        standing -= shares[-1]
    rounded = allocate(round_fraction(sum(shares, Fraction(0))), as_weights(shares)) if shares else []
    for step, part in zip(relative, rounded, strict=True):
        check.expect(step, check.standing - part)
    for step in rest:
        if step["kind"] == "rounding":
            check.expect(step, check.standing)
            if Fraction(step["exact_minor"]) != standing:
                raise ExplanationMismatch(f"rounding: {step['exact_minor']} is stored, {standing} follows")
        elif step["kind"] == "discount" and _is_absolute(step):
            # The line's part of an amount given for the whole invoice: an input of this line.
            part = int(step["share_minor"])
            floor = min(minimum_minor, terms.base_minor)
            if (
                part < 0
                or part > int(step["amount_minor"])
                or check.standing - part < min(floor, check.standing)
            ):
                raise ExplanationMismatch("a fixed amount takes more than it may")
            check.expect(step, check.standing - part)


def _check_minimum(rest: Sequence[Json], floor_minor: int, amount_minor: int) -> None:
    """The minimum is named when the discounts brought the line down to it, and only then."""
    named = [int(step["floor_minor"]) for step in rest if step["kind"] == "minimum"]
    kinds = [step["discount_kind"] for step in rest if step["kind"] == "discount"]
    follows = [floor_minor] if stands_at_minimum(amount_minor, floor_minor, kinds) else []
    if named != follows:
        raise ExplanationMismatch(f"minimum: {named} is stored, {follows} follows")


def _is_absolute(step: Json) -> bool:
    return kind_named(step["discount_kind"]).phase is Phase.ABSOLUTE


def recompute_due(steps: Sequence[Json], lines: Sequence[Recomputed]) -> int:
    """The amount due of an invoice from its own steps and its recomputed lines.

    Raises ExplanationMismatch when a stored figure differs.
    """
    total_step, balance_step, due_step = steps
    total = sum(line.amount_minor for line in lines)
    if balance_step["kind"] == "debt":
        applied = -int(balance_step["debt_minor"])
    else:
        applied = max(0, min(total, int(balance_step["available_minor"])))
    expected = [(0, total), (total, total - applied), (total - applied, max(0, total - applied))]
    stored = [(step["before_minor"], step["after_minor"]) for step in (total_step, balance_step, due_step)]
    if stored != expected:
        raise ExplanationMismatch(f"invoice: {stored} is stored, {expected} follows from the lines")
    return expected[-1][1]
