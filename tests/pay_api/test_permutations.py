"""Every order of what can be learned about a payment, against a second model written from the rules alone."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from pay_api import repository
from pay_api.pay_service.context import Context
from pay_api.pay_service.declines import reason_of
from pay_api.pay_service.payment import PAID, Move, Seen, after_refund, decide
from pay_api.pay_service.settle_attempt import Observation, settle
from pay_api.providers.base import (
    ActionRequired,
    Authorized,
    Declined,
    NotExecuted,
    Succeeded,
    Unknown,
    Voided,
)
from shared.queue.messages.payments import PaymentStatus as Status
from tests.pay_api.conftest import Pay, event_types
from tests.pay_api.rounds import rounds

PART, REST = "refund of a part", "refund of the rest"
CAPTURED = 100


@dataclass
class Model:
    """The rules of the domain page in words, without a table. ``is_over``: closed without money."""

    status: Status
    late: bool = False
    hold_given_back: bool = False
    needs_a_person: bool = False  # wrong money came: nothing but a person ends the review
    refunded: int = 0

    @property
    def is_over(self) -> bool:
        return self.status in (Status.FAILED, Status.CANCELLED)

    @property
    def in_review(self) -> bool:
        return self.status is Status.NEEDS_REVIEW

    def learn(self, fact: Seen | str) -> None:
        if isinstance(fact, str) and fact in (PART, REST):
            self._refund(fact)
        elif self.status in (Status.SUCCEEDED, Status.PARTIALLY_REFUNDED, Status.REFUNDED):
            return  # taken money is moved by refunds alone
        elif self.needs_a_person:
            return
        elif fact is Seen.MISMATCH:
            self.late = self.late or self.is_over
            self.needs_a_person = not self.in_review
            self.status = Status.NEEDS_REVIEW
        elif self.status is Status.CREATED:
            self._nothing_was_sent(fact)
        elif fact in (Seen.SUCCEEDED, Seen.AUTHORIZED):
            self._money(fact)
        elif not self.is_over:
            self._no_money(fact)

    def _refund(self, fact: str) -> None:
        if self.status in (Status.SUCCEEDED, Status.PARTIALLY_REFUNDED):
            self.refunded = CAPTURED if fact == REST else min(self.refunded + 40, CAPTURED)
            self.status = Status.REFUNDED if self.refunded == CAPTURED else Status.PARTIALLY_REFUNDED

    def _nothing_was_sent(self, fact: Seen | str) -> None:
        if fact is Seen.NO_EFFECT:
            self.status = Status.FAILED
        elif fact in (Seen.SUCCEEDED, Seen.AUTHORIZED):
            self.status = Status.NEEDS_REVIEW

    def _money(self, fact: Seen | str) -> None:
        gone = self.hold_given_back and self.status is Status.CANCELLED
        if fact is Seen.AUTHORIZED and (gone or self.status is Status.AUTHORIZED):
            return
        self.late = self.late or self.is_over
        if gone:
            self.status = Status.NEEDS_REVIEW
            return
        self.status = Status.SUCCEEDED if fact is Seen.SUCCEEDED else Status.AUTHORIZED

    def _no_money(self, fact: Seen | str) -> None:
        if fact is Seen.VOIDED:
            self.status, self.hold_given_back = Status.CANCELLED, True
        elif self.status is Status.AUTHORIZED:
            return
        elif fact is Seen.DECLINED or (fact is Seen.NO_EFFECT and not self.in_review):
            self.status = Status.FAILED
        elif fact is Seen.CHALLENGED and not self.in_review:
            self.status = Status.ACTION_REQUIRED
        elif fact is Seen.UNKNOWN and self.status is Status.PROCESSING:
            self.status = Status.UNKNOWN


@dataclass
class Decided:
    """The same history through ``decide``, with what settle keeps beside the status."""

    status: Status
    late: bool = False
    voided: bool = False
    frozen: bool = False
    refunded: int = 0

    def learn(self, fact: Seen | str) -> None:
        if not isinstance(fact, Seen):
            if self.status in PAID:
                self.refunded = CAPTURED if fact == REST else min(self.refunded + 40, CAPTURED)
                self.status = after_refund(CAPTURED, self.refunded)
            return
        decision = decide(self.status, fact, voided=self.voided, frozen=self.frozen)
        if isinstance(decision, Move):
            self.status, self.late = decision.to, self.late or decision.late
            self.voided = self.voided or fact is Seen.VOIDED
            self.frozen = decision.to is Status.NEEDS_REVIEW and fact is Seen.MISMATCH


@pytest.mark.parametrize(
    "start", [Status.PROCESSING, Status.CREATED, Status.ACTION_REQUIRED, Status.UNKNOWN, Status.AUTHORIZED]
)
def test_every_sequence_of_up_to_four_facts(start: Status) -> None:
    _compare(start, 4)


def test_every_sequence_of_five_facts_of_a_charge() -> None:
    """Repetitions included: more than all permutations of five events (100,000 histories)."""
    _compare(Status.PROCESSING, 5)


def _compare(start: Status, length: int) -> None:
    facts = [*Seen, PART, REST]
    for history in itertools.product(facts, repeat=length):  # every shorter one is the beginning of one
        model, decided = Model(start), Decided(start)
        for fact in history:
            model.learn(fact)
            decided.learn(fact)
        assert (decided.status, decided.late, decided.refunded) == (
            model.status,
            model.late,
            model.refunded,
        ), history


def test_order_does_not_matter_to_money() -> None:
    """All permutations of the news of one charge: whatever comes first, its money is known once."""
    news = [Seen.CHALLENGED, Seen.UNKNOWN, Seen.SUCCEEDED, Seen.SUCCEEDED, Seen.DECLINED]
    for length in range(1, 6):
        for order in itertools.permutations(news, length):
            decided, takings = Decided(Status.PROCESSING), 0
            for seen in order:
                before = decided.status
                decided.learn(seen)
                takings += decided.status is Status.SUCCEEDED and before is not Status.SUCCEEDED
            assert takings == (Seen.SUCCEEDED in order), order


def _observation(fact: Seen, transaction: str, amount: int) -> Observation:
    declined = reason_of(5051)
    assert declined is not None
    return {
        Seen.CHALLENGED: ActionRequired(transaction, "https://acs.test", "pareq"),
        Seen.AUTHORIZED: Authorized(transaction, amount, "RUB", None, True),
        Seen.SUCCEEDED: Succeeded(transaction, amount, "RUB", None, True),
        Seen.DECLINED: Declined(declined, 5051, transaction),
        Seen.UNKNOWN: Unknown("silence"),
        Seen.NO_EFFECT: NotExecuted("refused"),
        Seen.VOIDED: Voided(transaction),
        Seen.MISMATCH: Succeeded(transaction, amount + 1, "RUB", None, True),
    }[fact]


async def test_a_sample_of_histories_in_postgres(pay: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    """The same through the rows: the history, the events and the constraints agree with the model."""
    draw = random.Random(20261123)
    for number in range(20 * rounds()):
        await pay.fault(kind="timeout_before", method="payments/cards/charge", manner="close")
        view = await pay.pay(expect="unknown")
        payment_id, transaction = UUID(view["id"]), str(9_000_000_000 + draw.randrange(10**9))
        model = Model(Status.UNKNOWN)
        facts = [draw.choice(list(Seen)) for _ in range(5)]
        for fact in facts:
            async with ctx.sessions.begin() as session:
                payment = await repository.lock_payment(session, payment_id)
                attempts = await db.fetch("SELECT id FROM payment_attempt WHERE payment_id = $1", payment_id)
                attempt = await repository.lock_attempt(session, attempts[0]["id"])
                assert payment is not None
                assert attempt is not None
                news = _observation(fact, transaction, payment.amount_minor)
                await settle(ctx, session, payment, attempt, news, actor="test", now=pay.clock.now())
            model.learn(fact)
            row = await db.fetchrow("SELECT * FROM payment WHERE id = $1", payment_id)
            assert (row["status"], row["late"]) == (model.status, model.late), (number, facts)
            assert (row["captured_minor"] > 0) == (model.status is Status.SUCCEEDED)
        told = await event_types(db, view["id"])
        assert told.count("payment.succeeded") == (model.status is Status.SUCCEEDED)


async def test_the_moment_of_a_state_never_goes_back(pay: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    """Whoever waited for the payment's lock read the clock before; copies are kept by it."""
    await pay.fault(kind="timeout_before", method="payments/cards/charge", manner="close")
    payment_id = UUID((await pay.pay(expect="unknown"))["id"])
    early = pay.clock.now() - timedelta(seconds=20)
    before = await db.fetchval("SELECT updated_at FROM payment WHERE id = $1", payment_id)
    for fact in (Seen.AUTHORIZED, Seen.SUCCEEDED):
        async with ctx.sessions.begin() as session:
            payment = await repository.lock_payment(session, payment_id)
            assert payment is not None
            found = await db.fetchval("SELECT id FROM payment_attempt WHERE payment_id = $1", payment_id)
            attempt = await repository.lock_attempt(session, found)
            assert attempt is not None
            news = _observation(fact, "9000000001", payment.amount_minor)
            await settle(ctx, session, payment, attempt, news, actor="test", now=early)
        after = await db.fetchrow("SELECT status, updated_at FROM payment WHERE id = $1", payment_id)
        assert after["updated_at"] >= before, after["status"]
    assert after["status"] == Status.SUCCEEDED
    told = await db.fetch(
        "SELECT envelope -> 'data' ->> 'updated_at' AS at FROM outbox WHERE aggregate_id = $1"
        " ORDER BY aggregate_sequence",
        payment_id,
    )
    moments = [datetime.fromisoformat(row["at"]) for row in told]
    assert moments == sorted(moments)
    steps = await db.fetch(
        "SELECT at FROM payment_transition WHERE payment_id = $1 ORDER BY version", payment_id
    )
    assert [row["at"] for row in steps] == sorted(row["at"] for row in steps)
