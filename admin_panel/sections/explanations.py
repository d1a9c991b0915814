"""Tells in words how an invoice line came to its figure, and whether it follows, in the page's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import get_language

from admin_panel.sections.formats import money_text
from admin_panel.sections.words import word
from billing_api.billing_service.explanation_texts import sentence, verdict
from billing_api.billing_service.line_proof import prove_line
from billing_api.billing_service.models import InvoiceLine
from billing_api.billing_service.wording import language_of

Step = Mapping[str, Any]


def told(steps: Sequence[Step], currency: str) -> list[tuple[str, str]]:
    """(what happened, the amount after it) of each step; minor units in, texts out."""
    language = language_of(get_language() or "ru")
    return [
        (
            sentence(step, currency, language) or word(str(step.get("kind"))),
            money_text(int(step["after_minor"]), currency),
        )
        for step in steps
    ]


def proof(line: InvoiceLine, currency: str) -> tuple[str, str]:
    """Whether the line's figure is worked out again from its stored inputs, and that figure."""
    language = language_of(get_language() or "ru")
    agrees = prove_line(line).fault is None
    return verdict(agrees, line.net_minor, currency, language), money_text(line.net_minor, currency)
