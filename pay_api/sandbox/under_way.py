"""What does not end in the call that began it: payments by SBP token, payouts, links nobody has paid."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pay_api.sandbox.envelope import Answer, succeeded
from pay_api.sandbox.notifications import Outgoing
from pay_api.sandbox.parameters import Parameters
from pay_api.sandbox.reasons import APPROVED, UNABLE_TO_PROCESS
from pay_api.sandbox.terminal import Call, Terminal
from pay_api.sandbox.transaction import Status, Transaction, TransactionType

_TAKES: Final = timedelta(seconds=1)  # of the suite's clock


def begin(call: Call, transaction: Transaction) -> Answer:
    """Answers that it is under way; Pay or Fail tells the end."""
    now = call.terminal.clock.now()
    transaction.status, transaction.settles_at = Status.CREATED, now + _TAKES
    transaction.token_reason_code = call.forced_reason_code or transaction.token_reason_code
    call.terminal.store.save(transaction)
    return succeeded(call.terminal.model(transaction))


def settle_due(terminal: Terminal) -> None:
    """Ends what has come to its time; a link nobody paid is declined."""
    now = terminal.clock.now()
    for transaction in terminal.store.unfinished():
        if transaction.status is not Status.CREATED or transaction.settles_at is None:
            continue
        if transaction.settles_at <= now:
            outgoing = Outgoing()
            call = Call(terminal, transaction.method, Parameters({}), transaction.request_id, outgoing)
            if transaction.type == TransactionType.PAYOUT:
                call.pay_out(transaction, APPROVED)
            elif transaction.link_id is not None:
                call.authorise(transaction, UNABLE_TO_PROCESS)
            else:
                call.authorise(transaction, transaction.token_reason_code)
            terminal.notifier.release(outgoing)
