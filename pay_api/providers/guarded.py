"""A connector behind its circuit breaker: while the provider does not answer, no new charge is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from pay_api.providers.base import (
    CardKey,
    Charge,
    ChargeOutcome,
    CheckAnswer,
    NotExecuted,
    OperationOutcome,
    Provider,
    ProviderEvent,
    QueryOutcome,
    Receipt,
    RefundFound,
    RegisterRow,
    Unknown,
)
from pay_api.providers.breaker import Breaker

_Outcome = TypeVar("_Outcome")


class Guarded:
    """What has begun is always carried on (3-D Secure, captures, refunds, questions); it also probes."""

    def __init__(self, inner: Provider, breaker: Breaker) -> None:
        self._inner = inner
        self._breaker = breaker
        self.name = inner.name
        self.terminal_id = inner.terminal_id
        self.currencies = inner.currencies
        self.methods = inner.methods
        self.keeps_register = inner.keeps_register
        self.reports_receipts = inner.reports_receipts

    def takes_charges(self) -> bool:
        return self._inner.takes_charges() and not self._breaker.is_open()

    async def card_key(self) -> CardKey | None:
        return await self._inner.card_key()

    def accepts_cryptogram(self, cryptogram: str) -> bool:
        return self._inner.accepts_cryptogram(cryptogram)

    async def charge(self, charge: Charge) -> ChargeOutcome:
        if self._breaker.is_open():
            return NotExecuted("the circuit is open")
        return self._seen(await self._inner.charge(charge))

    async def finish_threeds(self, request_id: UUID, transaction_id: str, pa_res: str) -> ChargeOutcome:
        return self._seen(await self._inner.finish_threeds(request_id, transaction_id, pa_res))

    async def capture(
        self,
        request_id: UUID,
        transaction_id: str,
        amount_minor: int,
        currency: str,
        receipt: Receipt | None = None,
    ) -> OperationOutcome:
        return self._seen(
            await self._inner.capture(request_id, transaction_id, amount_minor, currency, receipt)
        )

    async def void(self, request_id: UUID, transaction_id: str) -> OperationOutcome:
        return self._seen(await self._inner.void(request_id, transaction_id))

    async def refund(
        self,
        request_id: UUID,
        transaction_id: str,
        amount_minor: int,
        currency: str,
        receipt: Receipt | None = None,
    ) -> OperationOutcome:
        return self._seen(
            await self._inner.refund(request_id, transaction_id, amount_minor, currency, receipt)
        )

    async def query(self, attempt_id: UUID, transaction_id: str | None) -> QueryOutcome:
        return self._seen(await self._inner.query(attempt_id, transaction_id))

    async def is_listed(self, attempt_id: UUID, since: datetime, until: datetime) -> bool | None:
        return await self._inner.is_listed(attempt_id, since, until)

    async def list_refunds(
        self, original_transaction_id: str, since: datetime, until: datetime
    ) -> Sequence[RefundFound] | None:
        return await self._inner.list_refunds(original_transaction_id, since, until)

    async def read_register(self, since: datetime, until: datetime) -> Sequence[RegisterRow] | None:
        return await self._inner.read_register(since, until)

    def _seen(self, outcome: _Outcome) -> _Outcome:
        self._breaker.report(answered=not isinstance(outcome, Unknown | NotExecuted))
        return outcome

    def read_notification(self, kind: str, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        return self._inner.read_notification(kind, headers, body)

    def refuses(self, *, test_mode: bool) -> bool:
        return self._inner.refuses(test_mode=test_mode)

    def answer_check(self, answer: CheckAnswer) -> Mapping[str, Any]:
        return self._inner.answer_check(answer)

    def answer_received(self) -> Mapping[str, Any]:
        return self._inner.answer_received()

    async def aclose(self) -> None:
        await self._inner.aclose()
