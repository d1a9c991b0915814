"""Tells in words how an invoice line came to its figure, from its stored steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from admin_panel.sections.formats import money_text, rate_text
from admin_panel.sections.words import word

Step = Mapping[str, Any]


def told(steps: Sequence[Step], currency: str) -> list[tuple[str, str]]:
    """(what happened, the amount after it) of each step; minor units in, texts out."""
    return [(_sentence(step, currency), money_text(int(step["after_minor"]), currency)) for step in steps]


def _sentence(step: Step, currency: str) -> str:
    match step.get("kind"):
        case "list_price":
            quantity = int(step.get("quantity", 1))
            price = money_text(int(step["unit_minor"]), currency)
            return _("List price %(price)s × %(quantity)s") % {"price": price, "quantity": quantity}
        case "unused_days":
            return _("Unused time of what was paid, %(price)s") % {
                "price": money_text(int(step["unit_minor"]), currency)
            }
        case "proration":
            return _("For %(days)s of %(period)s days") % {
                "days": step["days"],
                "period": step["period_days"],
            }
        case "discount":
            return _discount(step, currency)
        case "rounding":
            return _("Rounded half up from %(exact)s kopecks") % {"exact": step["exact_minor"]}
        case "vat":
            return _("of it VAT %(rate)s: %(vat)s") % {
                "rate": rate_text(int(step["rate_bp"])),
                "vat": money_text(int(step["vat_minor"]), currency),
            }
        case "total":
            return _("Total")
        case "balance":
            return _("Taken from the account balance")
        case "amount_due":
            return _("Amount due")
        case kind:
            return word(str(kind))


def _discount(step: Step, currency: str) -> str:
    kind = str(step.get("discount_kind", ""))
    if "rate_bp" in step:
        terms = rate_text(int(step["rate_bp"]))
    elif "amount_minor" in step or "price_minor" in step:
        terms = money_text(int(step.get("amount_minor") or step.get("price_minor") or 0), currency)
    else:
        terms = word(kind)
    source = word(str(step.get("source", "")))
    label = str(step.get("label") or "")
    taken = money_text(int(step["after_minor"]) - int(step["before_minor"]), currency)
    return _("Discount: %(source)s %(label)s, %(terms)s → %(taken)s") % {
        "source": source,
        "label": f"«{label}»" if label else "",
        "terms": terms,
        "taken": taken,
    }
