"""The second stage of a two-stage payment: confirm it or void it."""

from __future__ import annotations

from pay_api.sandbox.envelope import Answer, done
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call


@answers("payments/confirm")
async def confirm(call: Call) -> Answer:
    """Captures a hold, whole or in part."""
    transaction = call.transaction()
    call.capture(transaction, call.parameters.amount(transaction.currency).minor)
    return done()


@answers("payments/void")
async def void(call: Call) -> Answer:
    """Releases a hold that is not confirmed."""
    call.void(call.transaction())
    return done()
