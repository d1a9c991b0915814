"""The VAT of an invoice follows the configured rates by the day it is opened; an issued one keeps its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from shared.period import day_in_zone


@pytest.fixture
def rates(world, settings) -> Iterator[date]:
    """10 % today, 25 % from the next day of the accounts' zone on."""
    from billing_api.billing_service.vat_rates import vat_table

    tomorrow = day_in_zone(world.now, "Europe/Moscow") + timedelta(days=1)
    settings.VAT_RATES = f"2019-01-01=1000, {tomorrow.isoformat()}=2500"
    vat_table.cache_clear()
    yield tomorrow
    vat_table.cache_clear()


def test_a_configured_rate_holds_from_its_first_day(world, rates: date) -> None:
    from billing_api.billing_service import queries
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from billing_api.billing_service.models import CreditNote
    from shared.money import Money
    from tests.billing_api.commands.test_staff import broken, said

    anna = world.customer()
    started = world.buy(anna)
    before = world.invoice(started.invoice_id)
    assert before.vat_minor == 4536  # 499.00 × 10 / 110
    world.pay(started, anna)
    world.pass_time(days=1)
    after = world.invoice(world.buy(world.customer()).invoice_id)
    assert after.vat_minor == 9980  # 499.00 × 25 / 125
    assert [line["vat_rate_bp"] for line in queries.invoice_view(after)["lines"]] == [2500]
    adjust_charge(before.id, Money(-11000), **said(world))
    assert CreditNote.objects.get().vat_minor == 1000  # its invoice's rate, not the day's
    assert broken() == []


def test_the_default_is_the_law(billing_database, settings) -> None:
    from billing_api.billing_service.domain.vat import RUSSIAN_VAT
    from billing_api.billing_service.vat_rates import parse_vat_rates

    assert settings.VAT_RATES == "2019-01-01=2000,2026-01-01=2200"
    assert parse_vat_rates(settings.VAT_RATES) == RUSSIAN_VAT
