"""The VAT rates this installation is configured with: how the setting is read, and the table it gives."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Annotated, Final

from django.conf import settings
from pydantic import AfterValidator

from billing_api.billing_service.domain.vat import RUSSIAN_VAT, VatTable

_MAX_RATE_BP: Final = 10_000


def parse_vat_rates(text: str) -> VatTable:
    """``2019-01-01=2000, 2026-01-01=2200``: first days in rising order, rates in basis points (0 to 10000).

    Raises ValueError saying which part is wrong.
    """
    rates = []
    for part in text.split(","):
        day, _, rate = part.partition("=")
        try:
            first_day, rate_bp = date.fromisoformat(day.strip()), int(rate)
        except ValueError:
            raise ValueError("each VAT rate is a first day (year-month-day), = and basis points") from None
        if not 0 <= rate_bp <= _MAX_RATE_BP:
            raise ValueError("a VAT rate is 0 to 10000 basis points")
        rates.append((first_day, rate_bp))
    return VatTable(tuple(rates))


def _checked(text: str) -> str:
    parse_vat_rates(text)
    return text


# The type of the setting VAT_RATES, for the settings of each service that prices invoices.
VatRates = Annotated[str, AfterValidator(_checked)]
DEFAULT_VAT_RATES: Final = ",".join(f"{day.isoformat()}={rate_bp}" for day, rate_bp in RUSSIAN_VAT.rates)


@cache
def vat_table() -> VatTable:
    """The rates of this process, from Django's setting ``VAT_RATES``."""
    return parse_vat_rates(settings.VAT_RATES)
