"""Writes the first steps of a payment, from its creation to the provider's first answer, together."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pay_api.models import Attempt, Payment, Transition
from pay_api.pay_service import transitions
from pay_api.pay_service.context import SOURCE
from pay_api.rows import ATTEMPTS, PAYMENTS, TRANSITIONS
from shared.pool import Connection
from shared.queue.messages.payments import PaymentState, PaymentStatus
from shared.queue.outbox import event_writes
from shared.writes import GUARD, UNGUARDED, Write, write_together


@dataclass(slots=True)
class FirstSteps:
    """The steps a payment takes in one transaction, written together: status, history and events.

    The object belongs to no session, and nothing of the payment has been captured before: no refunds.
    """

    payment: Payment
    _version: int  # the one that stands in the database
    _history: list[Transition] = field(default_factory=list)
    _events: list[tuple[str, PaymentState]] = field(default_factory=list)

    @classmethod
    def of_new(cls, payment: Payment, actor: str) -> FirstSteps:
        """The first line of its history, ``payment.created``."""
        payment.version = 1
        steps = cls(payment, 0)
        steps._put_down(transitions.line_of_history(payment, None, actor, transitions.CREATED, None))
        return steps

    @classmethod
    def of_known(cls, payment: Payment) -> FirstSteps:
        return cls(payment, payment.version)

    def take(
        self, to: PaymentStatus, *, actor: str, reason: str, now: datetime, transaction_id: str | None = None
    ) -> None:
        """Raises a broken invariant for an unlawful step."""
        before = transitions.advance(self.payment, to, now)
        self.payment.version += 1
        self._put_down(transitions.line_of_history(self.payment, before, actor, reason, transaction_id))

    def _put_down(self, line: Transition) -> None:
        self._history.append(line)
        types = transitions.events_of(self.payment)
        if types:
            state = transitions.state_of(self.payment, ())
            self._events += [(event_type, state) for event_type in types]

    async def write_new(
        self, connection: Connection, attempt: Attempt | None, *besides: Write, guard: Write = UNGUARDED
    ) -> bool:
        """Inserts the payment as it is now, with the attempt it begins with; False when the guard fails."""
        tried = [] if attempt is None else [ATTEMPTS.insertion(attempt, "tried")]
        return await self._write(
            connection, guard, PAYMENTS.insertion(self.payment, "paid"), *tried, *besides
        )

    async def write_known(self, connection: Connection, attempt: Attempt, *besides: Write) -> bool:
        """Updates payment and attempt; False when somebody else has moved the payment since it was read.

        The attempt needs no condition: its status changes only together with its payment's.
        """
        moved = PAYMENTS.guarding_change(self.payment, self._version)
        return await self._write(connection, moved, ATTEMPTS.change(attempt), *besides)

    async def _write(self, connection: Connection, guard: Write, *writes: Write) -> bool:
        history: list[Write] = []
        for line in self._history:
            after = history[-1].name if history else GUARD
            history.append(TRANSITIONS.insertion(line, f"step_{len(history)}", after))
        events = [
            event_writes(SOURCE, event_type, self.payment.id, state, state.updated_at)
            for event_type, state in self._events
        ]
        written = await write_together(connection, guard, *writes, *history, *(events[0] if events else ()))
        if written:
            for event in events[1:]:  # numbered after the first: no two in one statement
                await write_together(connection, UNGUARDED, *event)
        return written

    @property
    def fit_one_statement(self) -> bool:
        """Whether no transaction is needed around them."""
        return len(self._events) <= 1
