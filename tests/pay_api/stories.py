"""What really happened to one payment at the provider, and the ways in which we hear of it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import asyncpg

from pay_api import repository
from pay_api.models import Operation, Refund
from pay_api.pay_service.apply_provider_event import apply_stored_event
from pay_api.pay_service.context import Context
from pay_api.pay_service.operate import begin_operation, finish_operation, send_operation
from pay_api.pay_service.reconcile import reconcile_attempt
from pay_api.pay_service.reconcile_money_back import reconcile_operation, reconcile_refund
from pay_api.pay_service.refund_payment import begin_refund, send_refund, settle_refund
from pay_api.pay_service.write_verdict import write_verdict
from pay_api.providers.base import ChargeOutcome, OperationOutcome
from shared.ids import new_id
from shared.money import Money
from shared.queue.messages.payments import PaymentStatus as Status
from tests.pay_api.conftest import OK, POOR, Pay
from tests.pay_api.test_webhooks import tell

AMOUNT: Final = 49_900
PART: Final = 20_000
PROVIDER: Final = "cloudpayments"
Step = Callable[[], Awaitable[None]]


@dataclass
class Told:
    """One payment whose provider has done its part; ``steps`` are the ways in which we hear of it."""

    pay: Pay
    ctx: Context
    db: asyncpg.Pool
    payment_id: UUID
    user_id: UUID
    attempt_id: UUID
    outcome: ChargeOutcome
    first_answer: Callable[[], Awaitable[bool]]
    transaction_id: str
    heard: list[str] = field(default_factory=list)

    async def answer(self) -> None:
        """Phase three of the charge, as ``start_payment`` ends it."""
        if not await self.first_answer():
            await write_verdict(self.ctx, self.payment_id, self.attempt_id, self.outcome)

    async def query(self) -> None:
        await self.make_due("payment_attempt")
        await reconcile_attempt(self.ctx, self.attempt_id)

    async def make_due(self, table: str) -> None:
        await self.db.execute(
            f"UPDATE {table} SET next_query_at = created_at WHERE payment_id = $1"
            " AND next_query_at IS NOT NULL",
            self.payment_id,
        )

    async def notify(self, kind: str, **changes: str) -> int:
        values = {
            "TransactionId": self.transaction_id,
            "Amount": "499.00",
            "Currency": "RUB",
            "InvoiceId": str(self.attempt_id),
            "AccountId": str(self.user_id),
            "DateTime": "2027-03-01 10:00:00",
            "TestMode": "1",
            **changes,
        }
        answer = await tell(self.pay, kind, values)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["code"])

    async def paid(self) -> None:
        assert await self.notify("pay", Status="Completed", OperationType="Payment") == 0

    async def held(self) -> None:
        assert await self.notify("pay", Status="Authorized", OperationType="Payment") == 0

    async def failed(self) -> None:
        code = await self.notify("fail", Status="Declined", Reason="InsufficientFunds", ReasonCode="5051")
        assert code == 0

    async def captured(self) -> None:
        assert await self.notify("confirm", Status="Completed") == 0

    async def voided(self) -> None:
        assert await self.notify("cancel") == 0

    async def check(self) -> None:
        """Writes nothing: 0 while the attempt waits for a verdict, 13 once it has one."""
        waits = not set(self.heard) - {"check"}
        assert await self.notify("check", Status="Completed", OperationType="Payment") == (0 if waits else 13)

    async def apply_waiting(self) -> None:
        """What could not be applied when it came is tried again, as the worker does."""
        waiting = await self.db.fetch(
            "SELECT id FROM webhook WHERE outcome IS NULL AND attempts < 4 AND"
            " (transaction_id = $1 OR event->>'original_transaction_id' = $1)",
            self.transaction_id,
        )
        for row in waiting:
            await apply_stored_event(self.ctx, row["id"])

    async def row(self) -> asyncpg.Record:
        return await self.db.fetchrow("SELECT * FROM payment WHERE id = $1", self.payment_id)


@dataclass(frozen=True)
class Story:
    """``expected`` says the status by what was heard, in its order; ``effects`` what the oracle has."""

    prepare: Callable[[Told], Awaitable[dict[str, Step]]]
    expected: Callable[[list[str]], Status]
    effects: tuple[tuple[str, int], ...]
    pan: str = OK
    hold: bool = False
    fifth: str = ""  # one more piece of news, for the long run


def first_of(heard: Iterable[str], *names: str) -> str | None:
    return next((name for name in heard if name in names), None)


async def _charged(told: Told) -> dict[str, Step]:
    return {
        "answer": told.answer,
        "pay": told.paid,
        "fail": told.failed,  # of another try of the payer's, told late: it never undoes money
        "query": told.query,
        "check": told.check,
    }


def _after_charge(heard: list[str]) -> Status:
    if {"answer", "pay"} & set(heard):
        return Status.SUCCEEDED
    match first_of(heard, "fail", "query"):
        case "query":
            return Status.SUCCEEDED
        case "fail":
            return Status.FAILED  # ended: only money itself is heard from then on, not asked for
    return Status.PROCESSING


async def _declined(told: Told) -> dict[str, Step]:
    return {
        "answer": told.answer,
        "fail": told.failed,
        "query": told.query,
        "fail again": told.failed,
        "check": told.check,
    }


def _after_decline(heard: list[str]) -> Status:
    return Status.FAILED if set(heard) - {"check"} else Status.PROCESSING


async def _captured_there(told: Told) -> dict[str, Step]:
    provider = told.ctx.providers[PROVIDER]
    await provider.capture(new_id(), told.transaction_id, AMOUNT, "RUB")
    return {
        "answer": told.answer,
        "pay": told.held,
        "confirm": told.captured,
        "query": told.query,
        "confirm again": told.captured,
    }


def _after_capture(heard: list[str]) -> Status:
    if {"confirm", "confirm again", "query"} & set(heard):
        return _unless_held_first(heard)
    return Status.AUTHORIZED if heard else Status.PROCESSING


def _unless_held_first(heard: list[str]) -> Status:
    """A hold that is known is not asked about by itself: its capture is heard by Confirm."""
    if {"confirm", "confirm again"} & set(heard) or heard[0] == "query":
        return Status.SUCCEEDED
    return Status.AUTHORIZED


async def _voided_there(told: Told) -> dict[str, Step]:
    await told.ctx.providers[PROVIDER].void(new_id(), told.transaction_id)
    return {
        "answer": told.answer,
        "pay": told.held,
        "cancel": told.voided,
        "query": told.query,
        "cancel again": told.voided,
    }


def _after_void(heard: list[str]) -> Status:
    if not heard:
        return Status.PROCESSING
    gone = {"cancel", "cancel again"} & set(heard) or heard[0] == "query"
    return Status.CANCELLED if gone else Status.AUTHORIZED


async def _refunded_there(told: Told) -> dict[str, Step]:
    provider = told.ctx.providers[PROVIDER]
    done = await provider.refund(new_id(), told.transaction_id, PART, "RUB")
    refund_id = str(getattr(done, "transaction_id", ""))

    async def refund() -> None:
        changes = {"TransactionId": refund_id, "PaymentTransactionId": told.transaction_id}
        assert await told.notify("refund", Amount="200.00", **changes) == 0

    return {
        "answer": told.answer,
        "pay": told.paid,
        "refund": refund,
        "query": told.query,
        "refund again": refund,
    }


def _after_refund(heard: list[str]) -> Status:
    if not {"answer", "pay", "query"} & set(heard):
        return Status.PROCESSING
    return Status.PARTIALLY_REFUNDED if {"refund", "refund again"} & set(heard) else Status.SUCCEEDED


async def _own_refund(told: Told) -> dict[str, Step]:
    await told.answer()
    ctx, now = told.ctx, told.pay.clock.now()
    async with ctx.sessions.begin() as session:
        payment = await repository.lock_payment(session, told.payment_id)
        assert payment is not None
        refund: Refund = await begin_refund(
            session, payment, Money(PART), reason="asked", caller="test", now=now, refund_order_id=new_id()
        )
    outcome: OperationOutcome = await send_refund(ctx, refund)
    transaction = str(getattr(outcome, "transaction_id", ""))

    async def answer() -> None:
        async with ctx.sessions.begin() as session:
            payment = await repository.lock_payment(session, told.payment_id)
            stored = await session.get(Refund, refund.id, with_for_update=True)
            assert payment is not None
            assert stored is not None
            await settle_refund(ctx, session, payment, stored, outcome, actor="test", now=now)

    async def notified() -> None:
        changes = {"TransactionId": transaction, "PaymentTransactionId": told.transaction_id}
        data = json.dumps({"refund_id": str(refund.id)})
        assert await told.notify("refund", Amount="200.00", Data=data, **changes) == 0

    async def query() -> None:
        await told.make_due("payment_refund")
        await reconcile_refund(ctx, refund.id)

    steps = {"answer": answer, "refund": notified, "query": query}
    return {**steps, "refund again": notified, "pay": told.paid}


def _after_own_refund(heard: list[str]) -> Status:
    return Status.PARTIALLY_REFUNDED if set(heard) - {"pay"} else Status.SUCCEEDED


def _own_operation(kind: str) -> Callable[[Told], Awaitable[dict[str, Step]]]:
    async def prepare(told: Told) -> dict[str, Step]:
        await told.answer()
        ctx, now = told.ctx, told.pay.clock.now()
        async with ctx.sessions.begin() as session:
            payment = await repository.lock_payment(session, told.payment_id)
            assert payment is not None
            operation: Operation = await begin_operation(session, payment, kind, AMOUNT, "asked", "test", now)
        outcome = await send_operation(ctx, operation)

        async def answer() -> None:
            await finish_operation(ctx, operation.id, outcome, "test")

        async def query() -> None:
            await told.make_due("payment_operation")
            await reconcile_operation(ctx, operation.id)

        notified = told.captured if kind == "capture" else told.voided
        return {
            "answer": answer,
            "told": notified,
            "query": query,
            "pay": told.held,
            "told again": notified,
        }

    return prepare


def _after_operation(done: Status) -> Callable[[list[str]], Status]:
    return lambda heard: done if set(heard) - {"pay"} else Status.AUTHORIZED


STORIES: Final[dict[str, Story]] = {
    "charged": Story(_charged, _after_charge, (("charged", AMOUNT),), fifth="check"),
    "declined": Story(_declined, _after_decline, (), pan=POOR, fifth="check"),
    "hold captured at the provider": Story(
        _captured_there,
        _after_capture,
        (("held", AMOUNT), ("captured", AMOUNT)),
        hold=True,
        fifth="confirm again",
    ),
    "hold given back at the provider": Story(
        _voided_there,
        _after_void,
        (("held", AMOUNT), ("voided", AMOUNT)),
        hold=True,
        fifth="cancel again",
    ),
    "refunded in part at the provider": Story(
        _refunded_there, _after_refund, (("charged", AMOUNT), ("refunded", PART)), fifth="refund again"
    ),
    "our refund": Story(
        _own_refund, _after_own_refund, (("charged", AMOUNT), ("refunded", PART)), fifth="pay"
    ),
    "our capture": Story(
        _own_operation("capture"),
        _after_operation(Status.SUCCEEDED),
        (("held", AMOUNT), ("captured", AMOUNT)),
        hold=True,
        fifth="told again",
    ),
    "our void": Story(
        _own_operation("void"),
        _after_operation(Status.CANCELLED),
        (("held", AMOUNT), ("voided", AMOUNT)),
        hold=True,
        fifth="told again",
    ),
}

NEWS: Final = {
    "charged": ("answer", "pay", "query", "fail"),
    "declined": ("answer", "fail", "query", "fail again"),
    "hold captured at the provider": ("answer", "pay", "confirm", "query"),
    "hold given back at the provider": ("answer", "pay", "cancel", "query"),
    "refunded in part at the provider": ("answer", "pay", "refund", "query"),
    "our refund": ("answer", "refund", "query", "refund again"),
    "our capture": ("answer", "told", "query", "pay"),
    "our void": ("answer", "told", "query", "pay"),
}
