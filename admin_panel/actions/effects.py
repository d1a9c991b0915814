"""What a person reads before confirming: one row per thing that changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _now

from admin_panel.sections.formats import moment_text, money_text
from shared.money import Money


@dataclass(frozen=True, slots=True)
class Row:
    """``before`` empty: the value is new."""

    label: str
    after: str
    before: str = ""


def money(amount: Money) -> str:
    return money_text(amount.amount, amount.currency)


def credited_already(amount: Money) -> list[Row]:
    """A warning, where a part would be the customer's twice."""
    label = _now("Of it credited already by a change of product: given twice")
    return [Row(label, money(amount))] if amount.amount else []


def moment(value: datetime | None) -> str:
    return moment_text(value)
