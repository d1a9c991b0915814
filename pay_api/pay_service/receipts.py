"""What the 54-FZ receipt of a capture or refund says: the lines of the payment, cut to its sum. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pay_api.providers.base import ReceiptLine
from shared.money import allocate


def lines_of(receipt: dict[str, Any]) -> tuple[ReceiptLine, ...]:
    """The lines as a payment keeps them; none for a payment made again from the provider's register."""
    return tuple(ReceiptLine(*line) for line in receipt["lines"])


def of_capture(lines: Sequence[ReceiptLine], amount_minor: int) -> tuple[ReceiptLine, ...]:
    """Lines that add up to the captured sum: each gives way in proportion, to the kopeck."""
    return _cut(lines, [line.amount_minor for line in lines], amount_minor)


def of_refund(
    lines: Sequence[ReceiptLine], captured_minor: int, earlier_minor: Sequence[int], amount_minor: int
) -> tuple[ReceiptLine, ...]:
    """Lines of one refund after earlier ones (minor units, in their order).

    All refunds together give back each line exactly: what earlier refunds took of it is no longer there.
    """
    if not lines:
        return ()
    left = allocate(captured_minor, [line.amount_minor for line in lines])
    for earlier in earlier_minor:
        left = [rest - part for rest, part in zip(left, allocate(earlier, left), strict=True)]
    return _cut(lines, left, amount_minor)


def _cut(lines: Sequence[ReceiptLine], weights: Sequence[int], amount_minor: int) -> tuple[ReceiptLine, ...]:
    if not lines:
        return ()
    parts = allocate(amount_minor, weights)
    return tuple(
        ReceiptLine(line.label, line.quantity if part == line.amount_minor else 1, part, line.vat_rate_bp)
        for line, part in zip(lines, parts, strict=True)
        if part
    )
