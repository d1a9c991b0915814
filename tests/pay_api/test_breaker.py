"""The circuit breaker: opens, refuses honestly, lets what has begun go on, closes again; the time-outs."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from pay_api import timeouts
from pay_api.pay_service.declines import PROVIDER_REFUSED
from pay_api.pay_service.start_payment import require_taking
from pay_api.providers.base import (
    Charge,
    Declined,
    MethodKind,
    NotExecuted,
    NotFound,
    OperationOutcome,
    Unknown,
)
from pay_api.providers.breaker import PurgatoryBreaker
from pay_api.providers.guarded import Guarded
from shared.errors import AppError
from shared.ids import new_id
from user_api.clients import billing_api as users_billing
from user_api.clients import pay_api as users_pay


class Flaky:
    """A provider that answers what it is told to."""

    name, terminal_id = "flaky", "t"
    currencies = frozenset({"RUB"})
    methods = frozenset(MethodKind)
    keeps_register = False
    reports_receipts = False

    def __init__(self) -> None:
        self.outcome: Any = Unknown("silence")
        self.calls = 0

    def takes_charges(self) -> bool:
        return True

    async def charge(self, charge: Charge | None) -> Any:
        self.calls += 1
        return self.outcome

    async def query(self, attempt_id: UUID, transaction_id: str | None) -> Any:
        self.calls += 1
        return self.outcome

    async def void(self, request_id: UUID, transaction_id: str) -> OperationOutcome:
        self.calls += 1
        return self.outcome


def guarded(failures: int = 3, seconds: float = 0.2) -> tuple[Flaky, Any]:
    inner = Flaky()
    return inner, Guarded(inner, PurgatoryBreaker("flaky", failures, seconds))  # type: ignore[arg-type]


async def test_opens_after_failures_in_a_row_and_closes_after_an_answer() -> None:
    inner, provider = guarded()
    for _ in range(3):
        assert provider.takes_charges()
        await provider.charge(None)
    assert not provider.takes_charges()
    assert isinstance(await provider.charge(None), NotExecuted)
    assert inner.calls == 3
    with pytest.raises(AppError) as refusal:
        require_taking(provider)
    assert refusal.value.code == "provider-unavailable"
    assert "Nothing was charged" in refusal.value.detail
    await asyncio.sleep(0.25)
    assert provider.takes_charges()
    await provider.charge(None)  # the first after the pause fails: open again at once
    assert not provider.takes_charges()
    await asyncio.sleep(0.25)
    inner.outcome = Declined(PROVIDER_REFUSED)
    await provider.charge(None)
    inner.outcome = Unknown("silence")
    await provider.charge(None)
    assert provider.takes_charges()


async def test_answers_between_failures_keep_it_closed() -> None:
    inner, provider = guarded()
    for _ in range(5):
        for outcome in (Unknown("x"), NotExecuted("x"), NotFound()):
            inner.outcome = outcome
            await provider.query(new_id(), None)
    assert provider.takes_charges()


async def test_what_has_begun_goes_on_while_it_is_open() -> None:
    inner, provider = guarded()
    for _ in range(3):
        await provider.charge(None)
    inner.outcome = NotFound()
    assert isinstance(await provider.query(new_id(), None), NotFound)
    await provider.void(new_id(), "1")
    assert inner.calls == 5


def test_time_outs_fit_into_each_other() -> None:
    """UserAPI's 28 s = 2 s BillingAPI + 25 s PayAPI + its own second; the provider's fits into PayAPI's."""
    assert users_pay.TIMEOUT_SECONDS == 25.0
    assert users_billing.TIMEOUT_SECONDS == 2.0
    assert users_pay.TIMEOUT_SECONDS + users_billing.TIMEOUT_SECONDS <= 28.0
    assert timeouts.PROVIDER_CALL == 23.0
    assert timeouts.PROVIDER_CONNECT < timeouts.PROVIDER_CALL <= users_pay.TIMEOUT_SECONDS - 2
    assert timeouts.CARD_KEY_CALL < timeouts.PROVIDER_CALL
    # One request, whatever it waits for, ends before its caller gives up; so does what undoes it.
    assert timeouts.REQUEST + timeouts.UNDOING < users_pay.TIMEOUT_SECONDS
    assert timeouts.PROVIDER_CALL + timeouts.SETTLING <= timeouts.REQUEST
    assert timeouts.PROVIDER_CONNECT <= timeouts.PROVIDER_LEAST
    # Three waits for a connection leave the provider more than the least.
    assert 3 * timeouts.DATABASE_POOL + timeouts.PROVIDER_LEAST + timeouts.SETTLING < timeouts.REQUEST
