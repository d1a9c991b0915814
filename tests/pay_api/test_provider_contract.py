"""What a connector must get right when all goes well: sums to the kopeck, one effect per request id.

A new connector brings its entry in ``MEANS``: without it these tests fail.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from pay_api.providers.base import (
    Authorized,
    AwaitingPayer,
    AwaitsPerson,
    Charge,
    Done,
    MethodKind,
    NotFound,
    PayerInstructed,
    Provider,
    Refused,
    Succeeded,
    Unknown,
    Voided,
)
from pay_api.providers.registry import PROVIDERS, open_providers
from shared.ids import new_id
from tests.pay_api.conftest import Pay
from tests.pay_api.test_provider_conformance import charge

NAMES: Final = sorted(PROVIDERS)
AMOUNT, PART = 12_345, 345  # minor units; a connector that is off by 100 or rounds to roubles shows
# What a charge of this connector carries for the payer who pays.
MEANS: Final[dict[str, Callable[[Pay], dict[str, Any]]]] = {
    "cloudpayments": lambda pay: {"card_cryptogram": pay.cryptogram(), "save_method": True},
    "bank_transfer": lambda pay: {"card_cryptogram": None},
}


@pytest.fixture(params=NAMES)
async def provider(request: pytest.FixtureRequest, pay: Pay) -> AsyncIterator[Provider]:
    opened = dict(open_providers(pay.house.settings))
    yield opened[request.param]
    for one in opened.values():
        await one.aclose()


@pytest.fixture
def asked(pay: Pay, provider: Provider) -> Charge:
    return charge(provider, amount_minor=AMOUNT, receipt=(), **MEANS[provider.name](pay))


def pays_elsewhere(provider: Provider, outcome: Any) -> bool:
    """Whether the payer is sent away with instructions, as only a connector without cards may do."""
    if not isinstance(outcome, PayerInstructed):
        return False
    assert outcome.instructions
    assert provider.methods == {MethodKind.BANK_TRANSFER}
    return True


async def test_a_charge_has_one_effect_of_the_very_sum(pay: Pay, provider: Provider, asked: Charge) -> None:
    assert isinstance(await provider.query(asked.attempt_id, None), NotFound | AwaitingPayer | Unknown)
    first = await provider.charge(asked)
    again = await provider.charge(asked)
    if pays_elsewhere(provider, first):
        assert again == first
        return
    assert isinstance(first, Succeeded)
    assert (first.amount_minor, first.currency) == (AMOUNT, asked.currency)
    assert first.account_id == str(asked.user_id)
    assert isinstance(again, Succeeded)
    assert again.transaction_id == first.transaction_id
    for transaction_id in (None, first.transaction_id):
        found = await provider.query(asked.attempt_id, transaction_id)
        assert isinstance(found, Succeeded)
        assert (found.transaction_id, found.amount_minor) == (first.transaction_id, AMOUNT)
    assert await pay.effects(str(asked.user_id)) == [("charged", AMOUNT)]


async def test_a_refund_gives_back_the_very_part_once(pay: Pay, provider: Provider, asked: Charge) -> None:
    paid = await provider.charge(asked)
    assert isinstance(paid, Succeeded | PayerInstructed)
    order = new_id()

    async def refund(request_id: Any, amount_minor: int) -> Any:
        return await provider.refund(request_id, paid.transaction_id, amount_minor, asked.currency)

    first, again = await refund(order, PART), await refund(order, PART)
    if isinstance(first, AwaitsPerson):
        assert first.why
        assert again == first
        return
    assert isinstance(first, Done)
    assert first.transaction_id not in (None, paid.transaction_id)
    assert again == first
    assert isinstance(await refund(new_id(), AMOUNT), Refused)  # more than is left
    assert isinstance(await refund(new_id(), AMOUNT - PART), Done)
    effects = [("charged", AMOUNT), ("refunded", PART), ("refunded", AMOUNT - PART)]
    assert await pay.effects(str(asked.user_id)) == effects


async def test_a_hold_is_captured_in_part_or_given_back(pay: Pay, provider: Provider, asked: Charge) -> None:
    held = await provider.charge(replace(asked, hold=True))
    if pays_elsewhere(provider, held):
        return  # money that comes by itself is never held
    assert isinstance(held, Authorized)
    assert held.amount_minor == AMOUNT
    assert isinstance(
        await provider.capture(new_id(), held.transaction_id, AMOUNT - PART, asked.currency), Done
    )
    taken = await provider.query(asked.attempt_id, held.transaction_id)
    assert isinstance(taken, Succeeded)
    assert taken.amount_minor == AMOUNT - PART

    other = charge(provider, amount_minor=AMOUNT, receipt=(), hold=True, **MEANS[provider.name](pay))
    let_go = await provider.charge(other)
    assert isinstance(let_go, Authorized)
    assert isinstance(await provider.void(new_id(), let_go.transaction_id), Done)
    assert isinstance(await provider.query(other.attempt_id, let_go.transaction_id), Voided)
    assert isinstance(await provider.void(new_id(), let_go.transaction_id), Refused)


async def test_a_saved_method_is_charged_by_its_token(pay: Pay, provider: Provider, asked: Charge) -> None:
    saved = await provider.charge(asked)
    if pays_elsewhere(provider, saved):
        return  # nothing is saved
    assert isinstance(saved, Succeeded)
    assert saved.token
    assert saved.card is not None
    later = replace(
        asked,
        attempt_id=new_id(),
        payment_id=new_id(),
        amount_minor=PART,
        card_cryptogram=None,
        save_method=False,
        token=saved.token,
        merchant_initiated=True,
    )
    renewed = await provider.charge(later)
    assert isinstance(renewed, Succeeded)
    assert renewed.amount_minor == PART
    assert await pay.effects(str(asked.user_id)) == [("charged", AMOUNT), ("charged", PART)]
