"""What every registered connector must do, whoever is behind it: run over the whole registry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pay_api.api.schemas import ReceiptLineBody
from pay_api.providers.base import (
    CardKey,
    Charge,
    ChargeOutcome,
    CheckAnswer,
    MethodKind,
    NotificationMalformed,
    OperationOutcome,
    Provider,
    QueryOutcome,
    ReceiptLine,
    SignatureInvalid,
)
from pay_api.providers.cloudpayments_receipt import VAT_CODES
from pay_api.providers.registry import DEFAULT, PROVIDERS, open_providers
from shared.ids import new_id
from shared.money import EXPONENTS
from tests.pay_api.conftest import House

NAMES = sorted(PROVIDERS)
KINDS = ("check", "pay", "fail", "confirm", "refund", "cancel", "recurrent", "nonsense", "")


@pytest.fixture
async def providers(house: House) -> AsyncIterator[dict[str, Provider]]:
    opened = dict(open_providers(house.settings))
    yield opened
    for provider in opened.values():
        await provider.aclose()


@pytest.fixture
async def nobody(house: House) -> AsyncIterator[dict[str, Provider]]:
    """Connectors whose provider is not there at all."""
    absent = house.settings.model_copy(update={"cloudpayments_api_url": "http://127.0.0.1:9"})
    opened = dict(open_providers(absent))
    yield opened
    for provider in opened.values():
        await provider.aclose()


def charge(provider: Provider, **changes: Any) -> Charge:
    values: dict[str, Any] = {
        "attempt_id": new_id(),
        "payment_id": new_id(),
        "user_id": new_id(),
        "amount_minor": 10_000,
        "currency": min(provider.currencies),
        "description": "Подписка «Премиум»",
        "locale": "ru",
        "email": None,
        "ip": None,
        "hold": False,
        "receipt": (ReceiptLine("Подписка", 1, 10_000, 2000),),
        "card_cryptogram": "nonsense",
        **changes,
    }
    return Charge(**values)


def test_registry_and_default() -> None:
    assert DEFAULT in PROVIDERS
    assert len(PROVIDERS) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_names_itself_as_it_is_registered(providers: dict[str, Provider], name: str) -> None:
    provider = providers[name]
    assert provider.name == name
    assert provider.terminal_id
    assert provider.currencies
    assert provider.currencies <= set(EXPONENTS)
    assert provider.methods
    assert provider.methods <= set(MethodKind)
    assert provider.takes_charges()
    assert isinstance(provider.reports_receipts, bool)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("locale", ["ru", "en"])
async def test_charge_gives_an_outcome_whatever_happens(
    providers: dict[str, Provider], nobody: dict[str, Provider], name: str, locale: str
) -> None:
    for provider in (providers[name], nobody[name]):
        outcome = await provider.charge(charge(provider, locale=locale))
        assert isinstance(outcome, get_args(ChargeOutcome))


@pytest.mark.parametrize("name", NAMES)
async def test_everything_else_gives_an_outcome_too(
    providers: dict[str, Provider], nobody: dict[str, Provider], name: str
) -> None:
    for provider in (providers[name], nobody[name]):
        currency = min(provider.currencies)
        operations = (
            provider.capture(new_id(), "1", 1, currency),
            provider.void(new_id(), "1"),
            provider.refund(new_id(), "1", 1, currency),
        )
        for outcome in await asyncio.gather(*operations):
            assert isinstance(outcome, get_args(OperationOutcome))
        for transaction_id in (None, "1"):
            assert isinstance(await provider.query(new_id(), transaction_id), get_args(QueryOutcome))
        outcome = await provider.finish_threeds(new_id(), "1", "nonsense")
        assert isinstance(outcome, get_args(ChargeOutcome))
        key = await provider.card_key()
        assert key is None or isinstance(key, CardKey)
        if MethodKind.HOSTED in provider.methods and provider is providers[name]:
            assert isinstance(key, CardKey)


@pytest.mark.parametrize("name", NAMES)
async def test_register_is_read_or_not_but_never_raises(
    house: House, providers: dict[str, Provider], nobody: dict[str, Provider], name: str
) -> None:
    until = house.clock.now()
    since = until - timedelta(minutes=5)
    for provider in (providers[name], nobody[name]):
        assert await provider.is_listed(new_id(), since, until) in (True, False, None)
        refunds = await provider.list_refunds("1", since, until)
        assert refunds is None or list(refunds) == []


@pytest.mark.parametrize("name", NAMES)
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.binary(max_size=200), kind=st.sampled_from(KINDS), signature=st.text(max_size=60))
def test_unsigned_notifications_are_refused(
    providers: dict[str, Provider], name: str, body: bytes, kind: str, signature: str
) -> None:
    for headers in ({}, {"content-hmac": signature}, {"x-content-hmac": signature}):
        with pytest.raises((SignatureInvalid, NotificationMalformed)):
            providers[name].read_notification(kind, headers, body)


@pytest.mark.parametrize("name", NAMES)
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(max_size=300))
def test_nonsense_is_no_cryptogram(providers: dict[str, Provider], name: str, text: str) -> None:
    assert providers[name].accepts_cryptogram(text) is False


@pytest.mark.parametrize("name", NAMES)
def test_answers_to_notifications_are_json(providers: dict[str, Provider], name: str) -> None:
    provider = providers[name]
    for answer in CheckAnswer:
        json.dumps(dict(provider.answer_check(answer)))
    json.dumps(dict(provider.answer_received()))


@pytest.mark.parametrize("name", NAMES)
def test_secrets_are_not_in_its_representation(
    house: House, providers: dict[str, Provider], name: str
) -> None:
    shown = repr(providers[name]) + repr(charge(providers[name], card_cryptogram="canary", token="canary"))
    assert house.settings.cloudpayments_api_secret.get_secret_value() not in shown
    assert "canary" not in shown


def test_every_vat_rate_a_caller_may_send_has_its_code() -> None:
    annotation = ReceiptLineBody.model_fields["vat_rate_bp"].annotation
    literal = next(part for part in get_args(annotation) if get_args(part))
    assert {*get_args(literal), None} == set(VAT_CODES)
    assert VAT_CODES == {None: None, 0: 0, 500: 5, 700: 7, 1000: 10, 2000: 20, 2200: 22}
